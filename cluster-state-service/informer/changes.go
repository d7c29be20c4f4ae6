package informer

import (
	"sync"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Kind is the kind of a changed record.
type Kind string

// The kinds of record that a CSS holds, and clusters, whose only state is Informer.Reconciled.
const (
	KindInstance Kind = "instance"
	KindTask     Kind = "task"
	KindCluster  Kind = "cluster"
)

// Change reports that a record has changed. The Informer holds its present state.
type Change struct {
	// ClusterARN is the cluster's ARN. With KindCluster it may end in /*, for every cluster of an account and region.
	ClusterARN string
	Kind       Kind
	ARN        string // of the instance, task or cluster
	Deleted    bool   // the record no longer exists
	Relisted   bool   // found by another list, so intermediate changes may be missing
	// OldTask or OldInstance is the previous state; nil for a new record. Subscribers must not modify it.
	OldTask     *models.Task
	OldInstance *models.ContainerInstance
}

// subscribers calls functions for every change, one call at a time.
type subscribers struct {
	mu   sync.Mutex
	next int
	fns  map[int]func(Change)
}

func (s *subscribers) add(fn func(Change)) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fns == nil {
		s.fns = map[int]func(Change){}
	}
	id := s.next
	s.next++
	s.fns[id] = fn
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.fns, id)
	}
}

func (s *subscribers) notify(changes ...Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		for _, fn := range s.fns {
			fn(c)
		}
	}
}
