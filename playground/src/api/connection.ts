import { createDarkroomClient } from '@darkroom/client'
import { useSyncExternalStore } from 'react'

/** Base URL of the server without a trailing slash: the page's `<base>`, which the server puts there. */
export const SERVER_URL = new URL('.', document.baseURI).href.replace(/\/$/, '')
/** The path below which the pages lie, for the router: `/` or that of a reverse proxy. */
export const BASE_PATH = new URL('.', document.baseURI).pathname

const KEY_NAME = 'darkroom-key'

/** The key is forgotten with the tab, unless the person asked for more. */
export function readKey(): string | undefined {
  return sessionStorage.getItem(KEY_NAME) ?? localStorage.getItem(KEY_NAME) ?? undefined
}

export function isKeyRemembered(): boolean {
  return localStorage.getItem(KEY_NAME) !== null
}

export function storeKey(key: string | undefined, remember: boolean): void {
  sessionStorage.removeItem(KEY_NAME)
  localStorage.removeItem(KEY_NAME)
  if (key !== undefined) (remember ? localStorage : sessionStorage).setItem(KEY_NAME, key)
  for (const listener of storedListeners) listener()
}

/** The key, for what is to begin anew with another one. */
export function useKey(): string | undefined {
  return useSyncExternalStore(onKeyStored, readKey)
}

/** What response headers say of a picture; fal's client gives the body alone. */
export interface ResponseNotes {
  readonly model?: string
  readonly safetyChecker?: string
}

const notesOfRequest = new Map<string, ResponseNotes>()

/** What the headers of a request's answer said, by request id. */
export function notesOf(requestId: string): ResponseNotes {
  return notesOfRequest.get(requestId) ?? {}
}

type Listener = () => void
const keyListeners = new Set<Listener>()
const storedListeners = new Set<Listener>()

function onKeyStored(listener: Listener): () => void {
  storedListeners.add(listener)
  return () => storedListeners.delete(listener)
}

/** Calls back whenever the server refuses a call for want of a (valid) key. */
export function onKeyRefused(listener: Listener): () => void {
  keyListeners.add(listener)
  return () => keyListeners.delete(listener)
}

const observedFetch: typeof fetch = async (input, init) => {
  const key = readKey()
  const response = await fetch(input, init)
  const requestId = response.headers.get('x-fal-request-id')
  const model = response.headers.get('x-darkroom-model')
  const safetyChecker = response.headers.get('x-darkroom-safety-checker')
  if (requestId !== null && model !== null) {
    notesOfRequest.set(requestId, { model, ...(safetyChecker === null ? {} : { safetyChecker }) })
  }
  // A refusal that comes after another key has been entered says nothing of that one.
  if (response.status === 401 && readKey() === key) for (const listener of keyListeners) listener()
  return response
}

/** Of queries whose answer is the same for every key. */
export const IS_PUBLIC = { isPublic: true } as const

/** The published fal client, pointed at this server. */
export const fal = createDarkroomClient({
  url: SERVER_URL,
  credentials: () => readKey(),
  suppressLocalCredentialsWarning: true,
  fetch: observedFetch,
})

/** An answer that is none: what a person is told, and what the server said. */
export class PlatformError extends Error {
  override readonly name = 'PlatformError'
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** A call of the platform API and of the server's own pages, for which fal's client has no function. */
export async function callServer(path: string, init: RequestInit = {}): Promise<Response> {
  const key = readKey()
  const headers = new Headers(init.headers)
  if (key !== undefined) headers.set('authorization', `Key ${key}`)
  const response = await observedFetch(`${SERVER_URL}${path}`, { ...init, headers })
  if (response.ok || response.status === 503) return response
  throw new PlatformError(messageOf(await response.json().catch(() => undefined), response.status), response.status)
}

function messageOf(body: unknown, status: number): string {
  if (typeof body === 'object' && body !== null) {
    if ('error' in body && typeof body.error === 'object' && body.error !== null && 'message' in body.error) {
      return String(body.error.message)
    }
    if ('detail' in body && typeof body.detail === 'string') return body.detail
  }
  return `The server answered ${status}`
}

/** A file of this server, by whatever name it calls itself, under the address by which this page reached it. */
export function localFileUrl(url: string): string {
  const at = url.indexOf('/cdn/files/')
  return at < 0 || url.startsWith('data:') ? url : `${SERVER_URL}${url.slice(at)}`
}
