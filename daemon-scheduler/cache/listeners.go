package cache

import "sync"

// Listener is called after the cache has changed. Its functions must not block; nil ones are not called.
type Listener struct {
	// EnvironmentChanged is called if an environment's record, its conditions, one of its launches or the health of one
	// of its tasks has changed.
	EnvironmentChanged func(name string)
	// AttributesChanged is called if a readiness attribute on one of the cluster's instances has changed.
	AttributesChanged func(clusterARN string)
	// OwnCommits includes the environments that this process's store has committed.
	OwnCommits bool
}

const (
	ownCommit     = true
	foreignCommit = false
)

type listeners struct {
	mu  sync.RWMutex
	all []Listener
}

// Subscribe adds a listener.
func (c *Cache) Subscribe(l Listener) {
	c.listeners.mu.Lock()
	defer c.listeners.mu.Unlock()
	c.listeners.all = append(c.listeners.all, l)
}

func (l *listeners) environmentChanged(name string, own bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, one := range l.all {
		if one.EnvironmentChanged != nil && (one.OwnCommits || !own) {
			one.EnvironmentChanged(name)
		}
	}
}

func (l *listeners) attributesChanged(clusterARN string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, one := range l.all {
		if one.AttributesChanged != nil {
			one.AttributesChanged(clusterARN)
		}
	}
}
