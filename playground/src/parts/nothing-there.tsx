import { Compass } from 'lucide-react'
import { Link } from 'react-router'
import { usePageTitle } from './page-title.ts'

/** In place of a page that an address names and the server does not have. */
export function NothingThere({ text }: { readonly text: string }) {
  usePageTitle('Nothing there')
  return (
    <div className="empty">
      <Compass aria-hidden size={44} strokeWidth={1.25} />
      <h1>{text}</h1>
      <Link to="/">All that this server draws with</Link>
    </div>
  )
}
