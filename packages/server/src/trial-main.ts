/** Entry of the process in which fast forms are tried (`tryFormsApart`). */
import { answerTrial } from './processes/trial-process.ts'

answerTrial()
