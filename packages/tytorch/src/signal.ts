// torch.signal: the window functions, as `torch.signal.windows`.
export * as windows from './windows.ts'
