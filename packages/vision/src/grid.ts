// Several images in one, as torchvision.utils.make_grid lays them out.
import { cat, full, stack, type Tensor, ValueError } from 'tytorch'

/** What `makeGrid` takes by name. */
export interface GridOptions {
  /** Images in a row; 8 by default. */
  readonly nrow?: number
  /** Pixels between images and around them; 2 by default. */
  readonly padding?: number
  /** Shifts and scales the values to 0..1. */
  readonly normalize?: boolean
  /** The values that become 0 and 1; the least and the greatest if absent. */
  readonly valueRange?: readonly [number, number] | null
  /** Normalizes each image by its own least and greatest value. */
  readonly scaleEach?: boolean
  /** The value between images; 0 by default. */
  readonly padValue?: number
}

/** A batch [B, C, H, W], or a list of images of equal size, as one image [C, H', W']; gray images become RGB. */
export function makeGrid(images: Tensor | readonly Tensor[], options: GridOptions = {}): Tensor {
  const { nrow = 8, padding = 2, padValue = 0 } = options
  if (!(Number.isInteger(nrow) && nrow > 0)) throw new ValueError(`makeGrid: nrow must be above 0, got ${nrow}`)
  if (!(Number.isInteger(padding) && padding >= 0)) throw new ValueError(`makeGrid: padding ${padding} is no length`)
  const batch = normalized(batchOf(images), options)
  const [count, channels, h, w] = batch.shape
  if (count === 1) return batch.squeeze(0)
  const columns = Math.min(nrow, count)
  const [height, width] = [h + padding, w + padding]
  const sizes = [channels, height * Math.ceil(count / columns) + padding, width * columns + padding]
  const grid = full(sizes, padValue, { dtype: batch.dtype })
  for (let i = 0; i < count; i++) {
    const [top, left] = [Math.floor(i / columns) * height + padding, (i % columns) * width + padding]
    grid.narrow(1, top, h).narrow(2, left, w).copy_(batch.select(0, i))
  }
  return grid
}

/** Images as one batch [B, 3 or more, H, W]. */
function batchOf(images: Tensor | readonly Tensor[]): Tensor {
  let batch = Array.isArray(images) ? stack(images as Tensor[], 0) : (images as Tensor)
  if (batch.ndim === 2) batch = batch.unsqueeze(0)
  if (batch.ndim === 3) batch = batch.unsqueeze(0)
  if (batch.ndim !== 4 || batch.size(0) === 0) {
    throw new ValueError(`makeGrid takes images [B, C, H, W], got ${String(batch.shape)}`)
  }
  return batch.size(1) === 1 ? cat([batch, batch, batch], 1) : batch
}

function normalized(batch: Tensor, { normalize = false, valueRange = null, scaleEach = false }: GridOptions): Tensor {
  if (!normalize) return batch
  const scaled = (x: Tensor): Tensor => {
    const [low, high] = valueRange ?? [x.min().item(), x.max().item()]
    return x
      .clamp(low, high)
      .sub(low)
      .div(Math.max(high - low, 1e-5))
  }
  return scaleEach ? stack(batch.unbind(0).map(scaled), 0) : scaled(batch)
}
