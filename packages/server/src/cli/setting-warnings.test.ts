import { expect, test } from 'vitest'
import { unknownSettings } from '../config/unknown-settings.ts'
import { settingWarnings } from './setting-warnings.ts'

test('a misspelt setting is told, with the one that was meant', () => {
  const environment = {
    DARKROOM_PORT: '3010',
    DARKROOM_PROT: '3011',
    DARKROOM_REQUIRE_SAFETY_CHEKER: '1',
    DARKROOM_COLOUR: 'red',
    DARKROOM_TEST_CHROMIUM: '/usr/bin/chromium',
    DARKROOM_URL: 'http://127.0.0.1:3010',
    NEXT_PUBLIC_DARKROOM_URL: 'http://127.0.0.1:3010',
    HF_TOKE: 'x',
  }
  expect(settingWarnings(unknownSettings(environment))).toEqual([
    'darkroom: DARKROOM_PROT is no setting and is ignored; did you mean DARKROOM_PORT?',
    'darkroom: DARKROOM_REQUIRE_SAFETY_CHEKER is no setting and is ignored; did you mean DARKROOM_REQUIRE_SAFETY_CHECKER?',
    'darkroom: DARKROOM_COLOUR is no setting and is ignored; docs/guide/settings.md has them all',
  ])
})
