import { useEffect, useRef, useState } from 'react'
import { Alert } from '../parts/alert.tsx'

/** What the camera sees, and a button that takes it as a JPEG. */
export function CameraView({ onPicture }: { readonly onPicture: (blob: Blob) => void }) {
  const video = useRef<HTMLVideoElement>(null)
  const [isOn, setOn] = useState(false)
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    let stream: MediaStream | undefined
    let isGone = false
    openCamera()
      .then((opened) => {
        if (isGone) return stopCamera(opened)
        stream = opened
        if (video.current !== null) video.current.srcObject = opened
      })
      .catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)))
    return () => {
      isGone = true
      if (stream !== undefined) stopCamera(stream)
    }
  }, [])
  const take = () => {
    const { current } = video
    if (current === null) return
    const canvas = document.createElement('canvas')
    canvas.width = current.videoWidth
    canvas.height = current.videoHeight
    canvas.getContext('2d')?.drawImage(current, 0, 0)
    canvas.toBlob((blob) => blob !== null && onPicture(blob), 'image/jpeg', 0.92)
  }
  if (problem !== undefined) return <Alert>The camera cannot be used: {problem}</Alert>
  return (
    <>
      {/* Without sound: nothing to caption. */}
      <video ref={video} className="camera" autoPlay playsInline muted onLoadedData={() => setOn(true)} />
      <button type="button" className="button primary" disabled={!isOn} onClick={take}>
        Take picture
      </button>
    </>
  )
}

async function openCamera(): Promise<MediaStream> {
  if (navigator.mediaDevices === undefined) {
    throw new Error('browsers give it to pages of https:// and of localhost only')
  }
  return navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } })
}

function stopCamera(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop()
}
