import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SETTINGS_PAGE, settingsPage } from '../../../../scripts/docs/settings-page.ts'
import { SETTING_NAMES } from './settings.ts'

test('the page of settings is as the settings are', () => {
  const page = readFileSync(new URL(`../../../../${SETTINGS_PAGE}`, import.meta.url), 'utf8')
  expect(page, 'run npx tsx scripts/docs/settings-page.ts').toBe(settingsPage())
})

test('every setting of the page is read', () => {
  const reader = readFileSync(new URL('./config.ts', import.meta.url), 'utf8')
  expect(SETTING_NAMES.filter((name) => !new RegExp(`\\b${name}\\b`).test(reader))).toEqual([])
  expect(SETTING_NAMES.length).toBeGreaterThan(40)
})
