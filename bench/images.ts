// 2000 JPEG files of 256x256, decoded, resized to 224, normalised, in batches of 32 by two workers.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Compose, ImageFolder, Normalize, Resize, saveImage, ToTensor } from '@tytorch/vision'
import * as torch from 'tytorch'
import type { Figures, Workload } from './rival.ts'

const FILES = 2000
const folder = mkdtempSync(join(tmpdir(), 'images-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
process.env.BENCH_IMAGES = folder

torch.manualSeed(0)
for (const name of ['a', 'b']) mkdirSync(join(folder, name))
for (let i = 0; i < FILES; i++) {
  // Upscaled noise: about 20 KB a file, smooth as photographs are.
  const small = torch.randint(0, 256, [3, 32, 32]).to(torch.uint8)
  const large = new Resize([256, 256]).forward(small)
  await saveImage(large, join(folder, i % 2 ? 'a' : 'b', `${String(i).padStart(4, '0')}.jpg`))
}

async function run(): Promise<Figures> {
  const transform = new Compose([
    new Resize([224, 224]),
    new ToTensor(),
    new Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
  ])
  const loader = new torch.utils.data.DataLoader(new ImageFolder(folder, { transform }), {
    batchSize: 32,
    numWorkers: 2,
  })
  const start = performance.now()
  let images = 0
  for await (const [x] of loader) images += x.size(0)
  if (images !== FILES) throw new Error(`${images} of ${FILES} images arrived`)
  return { rate: FILES / ((performance.now() - start) / 1000) }
}

export const images: Workload = {
  name: 'images',
  title: `${FILES} JPEG files of 256x256: decode, resize to 224, normalise; 2 workers`,
  figures: { rate: { unit: 'images/s', better: 'more', compare: true } },
  script: 'images',
  repetitions: 3,
  run,
}
