import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig(({ command }) => {
  // A test that has the bundle built says `test`, and React would be the one for developers.
  if (command === 'build') process.env.NODE_ENV = 'production'
  return {
    // Relative, so that the pages work under any path of a reverse proxy; the server says where the base is.
    base: './',
    plugins: [react()],
    build: {
      target: 'es2022',
      // Its policy lets pages load files of the server only.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  }
})
