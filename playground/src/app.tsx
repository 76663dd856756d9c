import { lazy, Suspense, useLayoutEffect, useRef } from 'react'
import { Route, Routes, useLocation, useParams } from 'react-router'
import { EndpointPage } from './pages/endpoint-page.tsx'
import { EndpointsPage } from './pages/endpoints-page.tsx'
import { NothingThere } from './parts/nothing-there.tsx'
import { PictureRestore } from './parts/picture-restore.tsx'
import { SiteHeader } from './parts/site-header.tsx'

const RealtimePage = lazy(() => import('./pages/realtime-page.tsx'))
const HistoryPage = lazy(() => import('./pages/history-page.tsx'))
const ModelsPage = lazy(() => import('./pages/models-page.tsx'))
const DocsPage = lazy(() => import('./pages/docs-page.tsx'))
const ServerPage = lazy(() => import('./pages/server-page.tsx'))

export function App() {
  const main = useRef<HTMLElement>(null)
  const { pathname } = useLocation()
  // A new page begins at its top, for the eye and for a screen reader, before the page itself goes to a section.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path is what it waits for
  useLayoutEffect(() => {
    window.scrollTo(0, 0)
    main.current?.focus({ preventScroll: true })
  }, [pathname])
  return (
    <PictureRestore>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <SiteHeader />
      <main ref={main} tabIndex={-1}>
        <Suspense fallback={null}>
          <Routes>
            <Route path="/" element={<EndpointsPage />} />
            <Route path="/models/*" element={<EndpointRoute />} />
            <Route path="/realtime" element={<RealtimePage />} />
            <Route path="/history" element={<HistoryPage />} />
            <Route path="/models" element={<ModelsPage />} />
            <Route path="/docs/*" element={<DocsPage />} />
            <Route path="/server" element={<ServerPage />} />
            <Route path="*" element={<NothingThere text="There is no such page" />} />
          </Routes>
        </Suspense>
      </main>
    </PictureRestore>
  )
}

function EndpointRoute() {
  // `/models/{endpoint id}/api` is what OpenAPI documents name as the documentation.
  const { '*': path = '' } = useParams()
  const id = path.replace(/\/api$/, '').replace(/\/+$/, '')
  return <EndpointPage key={id} endpointId={id} showsCode={path.endsWith('/api')} />
}
