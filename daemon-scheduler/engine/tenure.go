package engine

import (
	"maps"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// betterKept is how long it is remembered that an instance has changed: the longest that a failed start waits.
const betterKept = 5 * time.Minute

// tenure is what is known during one term alone.
type tenure struct {
	store.Term
	began time.Time

	mu      sync.Mutex
	vouched map[string]time.Time            // by environment: when ECS was asked for tasks that the copy lacks
	better  map[string]map[string]time.Time // by environment and instance: when it last changed for the better
	homes   map[string]string               // environment to cluster ARN
	aside   map[environment.AttributeKey]time.Time
}

func newTenure(term store.Term) *tenure {
	return &tenure{
		Term: term, began: time.Now(), vouched: map[string]time.Time{}, better: map[string]map[string]time.Time{},
		homes: map[string]string{}, aside: map[environment.AttributeKey]time.Time{},
	}
}

// improved notes that a start that failed on the instance may succeed now.
func (t *tenure) improved(name, instance string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.better[name] == nil {
		t.better[name] = map[string]time.Time{}
	}
	t.better[name][instance] = time.Now()
}

// betterFor is when instances last changed for the better, for an environment; what is long ago is forgotten.
func (t *tenure) betterFor(name string, now time.Time) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.better[name], func(_ string, at time.Time) bool { return now.Sub(at) > betterKept })
	if len(t.better[name]) == 0 {
		delete(t.better, name)
	}
	return maps.Clone(t.better[name])
}

// vouchedFor tells whether ECS was asked for the environment's tasks later than that.
func (t *tenure) vouchedFor(name string, later time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.vouched[name].After(later)
}

func (t *tenure) vouch(name string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.vouched[name] = at
}

// forget drops what is known of an environment that is gone.
func (t *tenure) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.vouched, name)
}

// moved notes which cluster an environment is of, if there is one, and tells which one it was of before.
func (t *tenure) moved(name string, clusterOf func(name string) (string, bool)) (was, is string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was = t.homes[name]
	is, there := clusterOf(name)
	t.homes[name] = is
	if !there {
		delete(t.homes, name)
	}
	return was, is
}

// putAside has readiness attributes left alone that ECS has refused to set.
func (t *tenure) putAside(marks []environment.ReadinessAttribute, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range marks {
		t.aside[m.Key()] = until
	}
}

// putAsideAt are those left alone at now, and until when; what is over is forgotten.
func (t *tenure) putAsideAt(now time.Time) map[environment.AttributeKey]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.aside, func(_ environment.AttributeKey, until time.Time) bool { return !now.Before(until) })
	return maps.Clone(t.aside)
}
