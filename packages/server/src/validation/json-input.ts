import { WireError } from '../errors/errors.ts'
import { decodeJsonBody } from '../protocol/json-body.ts'
import { JsonLimitError, JsonSyntaxError, type ParsedJson, parseJson } from '../protocol/json-parse.ts'
import { NOT_A_DICT, syntaxError } from './field-errors.ts'

const LONE_SURROGATE = /\p{Surrogate}/gu
const escapeUnit = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16)}`

/** An input that came as JSON text. Parsed it still tells `2` from `2.0`, which JavaScript values do not. */
export class JsonInput {
  /** Well-formed, lone surrogates escaped, so that every database takes it. */
  readonly text: string
  readonly value: ParsedJson

  constructor(text: string, value: ParsedJson) {
    this.text = text.isWellFormed() ? text : text.replace(LONE_SURROGATE, escapeUnit)
    this.value = value
  }
}

/**
 * Parses the JSON text of a queued request for `validateInput`.
 * @throws WireError 422, or 400 when the text cannot be read
 */
export function parseInput(json: string): JsonInput {
  return new JsonInput(json, readJson(json))
}

/**
 * Body bytes as FastAPI 0.99 reads them: None for no body; a body that does not claim to be JSON is bytes there, which
 * no model accepts.
 * @throws WireError 422 for broken JSON, 400 for bytes that are no text or too deep to read
 */
export function readJsonBody(bytes: Uint8Array, contentType: string | undefined): JsonInput {
  if (bytes.byteLength === 0) return new JsonInput('null', null)
  if (!isJsonType(contentType)) throw new WireError(422, [{ loc: ['body'], ...NOT_A_DICT }])
  const text = decodeJsonBody(bytes)
  if (text === undefined) throw unreadable()
  return new JsonInput(text, readJson(text))
}

/** `application/json` and `application/*+json`; a body without a type is taken for JSON. */
function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined || contentType === '') return true
  return /^\s*application\/(json|[^;]*\+json)\s*(;|$)/i.test(contentType)
}

/** @throws WireError 422 for broken JSON, 400 for JSON too deep or too long to read */
function readJson(text: string): ParsedJson {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof JsonSyntaxError) {
      throw new WireError(422, [{ loc: ['body', error.position], ...syntaxError(error, text) }], { cause: error })
    }
    if (error instanceof JsonLimitError) throw unreadable(error)
    throw error
  }
}

function unreadable(cause?: unknown): WireError {
  return new WireError(400, 'There was an error parsing the body', { cause })
}
