package serviceaccount

import (
	"crypto/sha256"
	"sync"
)

const (
	shards = 16
	// shardSize bounds how many tokens are remembered. Who shows more has each verified again now and then.
	shardSize = 1024
)

// cache remembers tokens whose signature is right by the hash of them, so that memory holds none.
type cache struct {
	shards [shards]shard
}

type shard struct {
	mu    sync.RWMutex
	known map[[sha256.Size]byte]*verified
}

func newCache() *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].known = map[[sha256.Size]byte]*verified{}
	}
	return c
}

func (c *cache) of(key [sha256.Size]byte) *shard { return &c.shards[key[0]%shards] }

func (c *cache) get(key [sha256.Size]byte) *verified {
	s := c.of(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known[key]
}

// put remembers k. Any other makes room for it when there is none.
func (c *cache) put(key [sha256.Size]byte, k *verified) {
	s := c.of(key)
	s.mu.RLock()
	same := s.known[key] == k
	s.mu.RUnlock()
	if same {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.known {
		if len(s.known) < shardSize {
			break
		}
		delete(s.known, other)
	}
	s.known[key] = k
}

func (c *cache) remove(key [sha256.Size]byte) {
	s := c.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}

func digest(token string) [sha256.Size]byte {
	var onStack [2048]byte // room for a usual token, so that none is copied to the heap
	return sha256.Sum256(append(onStack[:0], token...))
}
