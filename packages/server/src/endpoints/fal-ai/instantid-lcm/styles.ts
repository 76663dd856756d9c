/** The styles of instantid/lcm: what a style writes around the prompt and asks to keep out. The live service's texts are not published. */
export const STYLES = {
  '(No style)': { prompt: '{prompt}', negative: '' },
  Headshot: {
    prompt:
      'professional studio headshot of {prompt}, looking at the camera, neutral backdrop, soft key light, sharp eyes, natural skin texture, 85mm lens, shallow depth of field',
    negative: 'cropped head, tilted horizon, harsh shadows, plastic skin, blurry, low resolution, watermark',
  },
  'Spring Festival': {
    prompt:
      'flat illustration of {prompt} celebrating the Spring Festival, red lanterns, gold paper cuts, fireworks, auspicious clouds, warm red and gold palette, clean lines',
    negative: 'photograph, dull colours, grey, gloomy, blurry, low resolution, watermark',
  },
  Watercolor: {
    prompt:
      'watercolor painting of {prompt}, wet-on-wet washes, soft bleeding edges, visible paper grain, loose brushwork, light and airy colours',
    negative: 'photograph, hard outlines, glossy, 3d render, blurry, low resolution, watermark',
  },
  'Film Noir': {
    prompt:
      'film noir still of {prompt}, black and white, single hard light through blinds, deep shadows, cigarette smoke, rain-wet street, 1940s, high contrast, film grain',
    negative: 'colour, bright daylight, flat lighting, cartoon, blurry, low resolution, watermark',
  },
  Neon: {
    prompt:
      'portrait of {prompt} in a night city of neon signs, cyan and magenta light on the face, reflections on wet glass, glowing haze, dark background, vivid contrast',
    negative: 'daylight, washed out, sepia, flat lighting, blurry, low resolution, watermark',
  },
  Jungle: {
    prompt:
      'portrait of {prompt} deep in a tropical jungle, dense green leaves, shafts of sunlight, humid air, orchids and vines, rich natural colours, detailed',
    negative: 'city, buildings, indoor, snow, desert, blurry, low resolution, watermark',
  },
  Mars: {
    prompt:
      'cinematic portrait of {prompt} on the surface of Mars, red dust, rocky desert, butterscotch sky, distant hills, low sun, spacesuit details, detailed',
    negative: 'trees, grass, water, blue sky, indoor, blurry, low resolution, watermark',
  },
  'Vibrant Color': {
    prompt:
      'pop-art portrait of {prompt}, bold saturated colours, splashes of paint, strong complementary contrasts, energetic composition, crisp details',
    negative: 'monochrome, muted, grey, gloomy, blurry, low resolution, watermark',
  },
  Snow: {
    prompt:
      'portrait of {prompt} in falling snow, winter forest, flakes on hair and coat, cold blue light with a warm rim, visible breath, soft background, detailed',
    negative: 'summer, beach, green leaves, indoor, blurry, low resolution, watermark',
  },
  'Line art': {
    prompt:
      'line art drawing of {prompt}, clean black ink contours on white paper, even line weight, no shading, minimal, elegant',
    negative: 'photograph, colour, shading, gradients, texture, blurry, low resolution, watermark',
  },
} as const satisfies Readonly<Record<string, { readonly prompt: string; readonly negative: string }>>

export type Style = keyof typeof STYLES

/** The prompts that a style makes of the caller's; what is kept out comes first, as the style's own. */
export function applyStyle(
  style: Style,
  prompt: string,
  negativePrompt: string,
): { readonly prompt: string; readonly negativePrompt: string } {
  const { prompt: template, negative } = STYLES[style]
  return {
    // A function, since a prompt may hold what `replace` reads as a pattern ($&).
    prompt: template.replace('{prompt}', () => prompt),
    negativePrompt: [negative, negativePrompt].filter((text) => text !== '').join(' '),
  }
}
