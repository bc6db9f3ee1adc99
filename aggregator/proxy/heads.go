package proxy

import "sync"

const (
	// headSize is room for the heads of nearly all requests, and for a small body behind it.
	headSize = 4 << 10
	// smallBody is the longest body that is sent together with the head. It can also be sent again.
	smallBody = 8 << 10
	// keptHead is the largest buffer that is kept.
	keptHead = 32 << 10
	// copyBuffer is what long bodies of requests, and upgraded connections, are copied with.
	copyBuffer = 32 << 10
)

// heads keeps the buffers that requests are put together in; its zero value is empty.
type heads struct{ pool sync.Pool }

func (h *heads) get() *[]byte {
	if p, ok := h.pool.Get().(*[]byte); ok {
		*p = (*p)[:0]
		return p
	}
	b := make([]byte, 0, headSize)
	return &b
}

func (h *heads) put(p *[]byte) {
	if cap(*p) <= keptHead {
		h.pool.Put(p)
	}
}

// copies keeps copy buffers; its zero value is empty.
type copies struct{ pool sync.Pool }

func (c *copies) get() *[copyBuffer]byte {
	if p, ok := c.pool.Get().(*[copyBuffer]byte); ok {
		return p
	}
	return new([copyBuffer]byte)
}

func (c *copies) put(p *[copyBuffer]byte) { c.pool.Put(p) }
