import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { BrowserRouter } from 'react-router'
import { BASE_PATH, PlatformError } from './api/connection.ts'
import { App } from './app.tsx'
import { applyTheme } from './parts/theme.ts'
import './styles/base.css'
import './styles/form.css'
import './styles/pages.css'
import './styles/result.css'
import './styles/docs.css'

applyTheme()

const MOST_RETRIES = 2

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server refused it refuses again; what did not reach it may.
      retry: (count, error) => !(error instanceof PlatformError) && count < MOST_RETRIES,
    },
  },
})

const root = document.getElementById('root')
if (root === null) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <BrowserRouter basename={BASE_PATH}>
        <App />
      </BrowserRouter>
    </QueryClientProvider>
  </StrictMode>,
)
