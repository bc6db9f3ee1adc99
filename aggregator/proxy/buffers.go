package proxy

import "sync"

// Two sizes of copy buffers: a watch that waits for days holds a small one, a long list is copied
// in large parts.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
)

// buffers keeps copy buffers between answers; its zero value is empty. Made anew for every answer
// they would be nearly half of all bytes that a busy proxy allocates.
type buffers struct {
	small, large sync.Pool
}

func (b *buffers) getSmall() *[smallBuffer]byte {
	if p, ok := b.small.Get().(*[smallBuffer]byte); ok {
		return p
	}
	return new([smallBuffer]byte)
}

func (b *buffers) putSmall(p *[smallBuffer]byte) { b.small.Put(p) }

func (b *buffers) getLarge() *[largeBuffer]byte {
	if p, ok := b.large.Get().(*[largeBuffer]byte); ok {
		return p
	}
	return new([largeBuffer]byte)
}

func (b *buffers) putLarge(p *[largeBuffer]byte) { b.large.Put(p) }
