package events

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/arn"
)

// Filter selects events. Each field that is not empty must match; of several values, one.
type Filter struct {
	Environments []string // names
	Clusters     []string // names or ARNs
	Actions      []environment.EventAction
	Instances    []string       // ARNs of container instances, or their last parts
	Deployments  []string       // ids
	Actor        *regexp.Regexp // nil for any; events of the leader match none
	Since        time.Time
	Until        time.Time // exclusive
}

// Matches reports whether the filter selects the event. A merged event covers a time, and up to ten named instances.
func (f Filter) Matches(e environment.Event) bool {
	return oneOf(f.Environments, e.Environment) && oneOf(f.Deployments, e.Deployment) && oneOf(f.Actions, e.Action) &&
		f.matchesCluster(e.Cluster) && f.matchesInstance(e.Instances) && f.matchesActor(e.Actor) &&
		(f.Since.IsZero() || !e.LastSeenAt.Before(f.Since)) && (f.Until.IsZero() || e.HappenedAt().Before(f.Until))
}

func oneOf[T comparable](accepted []T, value T) bool {
	return len(accepted) == 0 || slices.Contains(accepted, value)
}

func (f Filter) matchesCluster(cluster string) bool {
	if len(f.Clusters) == 0 || slices.Contains(f.Clusters, cluster) {
		return true
	}
	parsed, err := arn.ParseKind(cluster, arn.Cluster)
	return err == nil && slices.Contains(f.Clusters, parsed.Cluster)
}

func (f Filter) matchesInstance(instances []environment.EventInstance) bool {
	return len(f.Instances) == 0 || slices.ContainsFunc(instances, func(i environment.EventInstance) bool {
		return slices.Contains(f.Instances, i.Instance) || slices.Contains(f.Instances, path.Base(i.Instance))
	})
}

func (f Filter) matchesActor(actor string) bool {
	return f.Actor == nil || actor != "" && f.Actor.MatchString(actor)
}

// ActorPattern returns a pattern of the whole name of an actor, in which * stands for any text and ? for one character.
func ActorPattern(text string) *regexp.Regexp {
	expression := regexp.QuoteMeta(text)
	expression = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(expression)
	return regexp.MustCompile("^(?s:" + expression + ")$")
}

// classes returns the classes whose events the filter may select.
func (f Filter) classes() (list []class) {
	for c := range classes {
		of := func(a environment.EventAction) bool { return classOf(a) == c }
		if c == tasks && f.Actor != nil { // users change environments and deployments only
			continue
		}
		if len(f.Actions) == 0 || slices.ContainsFunc(f.Actions, of) {
			list = append(list, c)
		}
	}
	return list
}

// Cursor is the place of an event in a list. It does not change when events are added, merged or removed.
type Cursor struct {
	HappenedAt time.Time
	ID         string
}

func cursorOf(e environment.Event) Cursor { return Cursor{e.HappenedAt(), e.ID} }

func (c Cursor) compare(other Cursor) int {
	return cmp.Or(c.HappenedAt.Compare(other.HappenedAt), cmp.Compare(c.ID, other.ID))
}

// Page is a part of a list.
type Page struct {
	Events  []environment.Event // newest first
	Next    *Cursor             // the place of its last event; nil if it is the last page
	Version Position            // after all changes that the list contains
}

// Query returns the events that match the filter, newest first, at most limit: those older than after, or from the
// newest on if after is nil.
func (s *Store) Query(f Filter, after *Cursor, limit int) (Page, error) {
	all, version, err := s.snapshot()
	if err != nil {
		return Page{}, err
	}
	start := 0
	if after != nil {
		start, _ = slices.BinarySearchFunc(all, *after, func(e environment.Event, c Cursor) int {
			return cmp.Or(c.compare(cursorOf(e)), -1) // the first event older than the cursor
		})
	}
	page := Page{Version: version}
	for _, e := range all[start:] {
		if !f.Matches(e) {
			continue
		}
		if len(page.Events) == limit {
			last := cursorOf(page.Events[limit-1])
			page.Next = &last
			break
		}
		page.Events = append(page.Events, e)
	}
	return page, nil
}

// Recent returns the newest events for the page, newest first: a number of all, and fewer of each environment.
func (s *Store) Recent(total, perEnvironment int) ([]environment.Event, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	var list []environment.Event
	counts := map[string]int{}
	for i, e := range all {
		if counts[e.Environment]++; i < total || counts[e.Environment] <= perEnvironment {
			list = append(list, e)
		}
	}
	return list, nil
}
