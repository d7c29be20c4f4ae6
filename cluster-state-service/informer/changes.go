package informer

import (
	"sync"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Kind is what a Change is about.
type Kind string

// The kinds that a CSS keeps.
const (
	KindInstance Kind = "instance"
	KindTask     Kind = "task"
)

// Change says that the copy has changed; what it is now, the copy itself tells.
type Change struct {
	ClusterARN string
	Kind       Kind
	ARN        string // of the instance or task
	Deleted    bool   // it is gone
	Relisted   bool   // a list has shown it, so changes in between may not have been told
	// OldTask or OldInstance is what the copy held before, which nobody may change; nil when it is new.
	OldTask     *models.Task
	OldInstance *models.ContainerInstance
}

// listeners are told of changes, one call at a time.
type listeners struct {
	mu   sync.Mutex
	next int
	fns  map[int]func(Change)
}

func (l *listeners) add(fn func(Change)) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fns == nil {
		l.fns = map[int]func(Change){}
	}
	id := l.next
	l.next++
	l.fns[id] = fn
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.fns, id)
	}
}

func (l *listeners) tell(changes ...Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		for _, fn := range l.fns {
			fn(c)
		}
	}
}
