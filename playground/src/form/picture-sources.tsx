import { Brush, Camera, FolderOpen, History, X } from 'lucide-react'
import { useRef, useState } from 'react'
import { Modal } from '../parts/modal.tsx'
import { CameraView } from './camera-view.tsx'
import { HistoryPictures } from './history-pictures.tsx'
import { PaintView } from './paint-view.tsx'

interface PictureSourcesProps {
  readonly title: string
  /** The picture that a mask is painted on. */
  readonly paintOn: string | undefined
  readonly isMask: boolean
  readonly onBlob: (blob: Blob) => void
  readonly onUrl: (url: string) => void
  /** Absent where there is nothing to clear. */
  readonly onClear: (() => void) | undefined
}

type Dialog = 'camera' | 'paint' | 'history'

/** The ways to a picture besides dropping, pasting and its URL. */
export function PictureSources({ title, paintOn, isMask, onBlob, onUrl, onClear }: PictureSourcesProps) {
  const [dialog, setDialog] = useState<Dialog>()
  const file = useRef<HTMLInputElement>(null)
  const close = () => setDialog(undefined)
  const takeBlob = (blob: Blob) => {
    close()
    onBlob(blob)
  }
  return (
    <div className="row wrap">
      <input
        ref={file}
        type="file"
        accept="image/*"
        hidden
        aria-label={`${title}: file`}
        onChange={(event) => {
          const [chosen] = event.target.files ?? []
          if (chosen !== undefined) onBlob(chosen)
          event.target.value = ''
        }}
      />
      <button type="button" className="button small" onClick={() => file.current?.click()}>
        <FolderOpen aria-hidden size={16} /> File
      </button>
      <button type="button" className="button small" onClick={() => setDialog('paint')}>
        <Brush aria-hidden size={16} /> {isMask ? 'Paint mask' : 'Paint'}
      </button>
      <button type="button" className="button small" onClick={() => setDialog('history')}>
        <History aria-hidden size={16} /> History
      </button>
      <button type="button" className="button small" onClick={() => setDialog('camera')}>
        <Camera aria-hidden size={16} /> Camera
      </button>
      {onClear === undefined ? null : (
        <button type="button" className="button small" onClick={onClear}>
          <X aria-hidden size={16} /> Clear
        </button>
      )}
      {dialog === 'camera' ? (
        <Modal title={`${title}: camera`} onClose={close}>
          <CameraView onPicture={takeBlob} />
        </Modal>
      ) : null}
      {dialog === 'paint' ? (
        <Modal title={isMask ? `${title}: paint what is drawn anew` : `${title}: paint`} onClose={close}>
          <PaintView under={paintOn} isMask={isMask} onPicture={takeBlob} />
        </Modal>
      ) : null}
      {dialog === 'history' ? (
        <Modal title={`${title}: from the history`} onClose={close}>
          <HistoryPictures
            onChoose={(url) => {
              close()
              onUrl(url)
            }}
          />
        </Modal>
      ) : null}
    </div>
  )
}
