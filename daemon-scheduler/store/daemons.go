package store

import (
	"maps"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// daemons are, by cluster ARN, the drain orders of its environments by the ids of their deployments.
type daemons map[string]*orders

type orders struct {
	of   map[string]int
	lent bool // others read it, so that it is not changed any more
}

// Daemons are the drain orders of the copy's environments of a cluster by the ids of their deployments, to be read only.
func (s *Store) Daemons(clusterARN string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.copied.daemons[clusterARN]
	if !ok {
		return map[string]int{}
	}
	held.lent = true
	return held.of
}

// replace has e, with its order, where was has been; the zero Environment is none.
func (d daemons) replace(was, e environment.Environment, order int) {
	for id := range was.Deployments {
		if _, stays := e.Deployments[id]; !stays || was.Cluster != e.Cluster {
			delete(d.own(was.Cluster), id)
		}
	}
	for id := range e.Deployments {
		if held, ok := d[e.Cluster]; ok {
			if had, ok := held.of[id]; ok && had == order {
				continue // progress alone changes nothing
			}
		}
		d.own(e.Cluster)[id] = order
	}
	if held, ok := d[was.Cluster]; ok && len(held.of) == 0 {
		delete(d, was.Cluster)
	}
}

// own is what may be changed.
func (d daemons) own(clusterARN string) map[string]int {
	switch held, ok := d[clusterARN]; {
	case !ok:
		d[clusterARN] = &orders{of: map[string]int{}}
	case held.lent:
		d[clusterARN] = &orders{of: maps.Clone(held.of)}
	}
	return d[clusterARN].of
}
