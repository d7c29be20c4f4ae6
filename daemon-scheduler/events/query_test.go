package events

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

const (
	prodARN     = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
	instanceID  = "0123456789abcdef0123456789abcdef"
	instanceARN = "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/" + instanceID
)

func TestFilter_Matches(t *testing.T) {
	at := func(minutes int) time.Time { return time.Date(2026, 1, 31, 13, minutes, 0, 0, time.UTC) }
	merged := environment.Event{
		LastSeenAt: at(10), FirstSeenAt: at(5), Action: environment.EventTaskStarted, Environment: "logs", Cluster: prodARN,
		Deployment: "d1", Count: 20, Instances: []environment.EventInstance{{Instance: instanceARN}},
	}
	audit := environment.Event{
		LastSeenAt: at(10), Action: environment.EventEnvironmentPaused, Environment: "logs", Cluster: prodARN,
		Actor: "CN=alice,OU=ops",
	}
	for name, tc := range map[string]struct {
		filter      Filter
		task, audit bool
	}{
		"no filter":                          {Filter{}, true, true},
		"the environment":                    {Filter{Environments: []string{"metrics", "logs"}}, true, true},
		"another environment":                {Filter{Environments: []string{"metrics"}}, false, false},
		"the cluster's name":                 {Filter{Clusters: []string{"prod"}}, true, true},
		"the cluster's ARN":                  {Filter{Clusters: []string{"test", prodARN}}, true, true},
		"another cluster":                    {Filter{Clusters: []string{"test", prodARN + "2"}}, false, false},
		"an action":                          {Filter{Actions: []environment.EventAction{"taskStarted"}}, true, false},
		"the instance's ARN":                 {Filter{Instances: []string{instanceARN}}, true, false},
		"the instance's ID":                  {Filter{Instances: []string{"x", instanceID}}, true, false},
		"another instance":                   {Filter{Instances: []string{"x"}}, false, false},
		"the deployment":                     {Filter{Deployments: []string{"d1"}}, true, false},
		"the actor":                          {Filter{Actor: ActorPattern("CN=alice,OU=ops")}, false, true},
		"a pattern of the actor":             {Filter{Actor: ActorPattern("CN=ali?e*")}, false, true},
		"any actor":                          {Filter{Actor: ActorPattern("*")}, false, true},
		"a part of the actor":                {Filter{Actor: ActorPattern("alice")}, false, false},
		"a pattern with other characters":    {Filter{Actor: ActorPattern("CN=ali.e*")}, false, false},
		"since the last occurrence":          {Filter{Since: at(10)}, true, true},
		"since later":                        {Filter{Since: at(11)}, false, false},
		"until after the first occurrence":   {Filter{Until: at(6)}, true, false},
		"until the first occurrence":         {Filter{Until: at(5)}, false, false},
		"a time within that of merged ones":  {Filter{Since: at(7), Until: at(8)}, true, false},
		"several filters that match":         {Filter{Environments: []string{"logs"}, Deployments: []string{"d1"}}, true, false},
		"several, of which one does not":     {Filter{Environments: []string{"x"}, Deployments: []string{"d1"}}, false, false},
		"an action and an actor of no event": {Filter{Actions: []environment.EventAction{"taskStarted"}, Actor: ActorPattern("*")}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.task, tc.filter.Matches(merged))
			assert.Equal(t, tc.audit, tc.filter.Matches(audit))
		})
	}
}

// While events are written, merged and removed, the pages of one list repeat no event and leave none out that was there
// from the first page to the last.
func TestQuery_PagesAreStable(t *testing.T) {
	lower(t, [classes]bounds{tasks: {events: 60, bytes: 1 << 20}, changes: {events: 1000, bytes: 1 << 20}})
	s := running(t, testenv.Etcd(t))
	batches := []*Batch{}
	for n := range 50 {
		b := &Batch{ID: fmt.Sprintf("%04d", n)}
		put(t, s, b, event(fmt.Sprint(n), 1000+n))
		batches = append(batches, b)
	}
	list, err := s.List()
	require.NoError(t, err)
	atFirst := map[string]bool{}
	for _, e := range list {
		atFirst[e.ID] = true
	}
	seen := map[string]int{}
	var cursor *Cursor
	for n := 0; ; n++ {
		page, err := s.Query(Filter{}, cursor, 7)
		require.NoError(t, err)
		for _, e := range page.Events {
			seen[e.ID]++
		}
		if page.Next == nil {
			break
		}
		cursor = page.Next
		// One event is new, one older is merged into an event that was on a page before, and one on a later page.
		put(t, s, &Batch{ID: fmt.Sprintf("%04d", 100+n)}, event("new", 5000+n))
		for _, b := range []*Batch{batches[len(batches)-1-n], batches[n]} {
			b.Events[0], _ = b.Events[0].Merge(event(b.Events[0].Reason, 6000+n))
			put(t, s, b)
		}
	}
	for id, n := range seen {
		assert.Equal(t, 1, n, id)
		assert.True(t, atFirst[id], id)
	}
	assert.Len(t, seen, len(atFirst))
}

func TestQuery_ReturnsNewestFirst(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	b := Batch{ID: "1"}
	put(t, s, &b, event("a", 1), event("b", 3), event("c", 2))
	page, err := s.Query(Filter{}, nil, 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "c"}, []string{page.Events[0].Reason, page.Events[1].Reason})
	page, err = s.Query(Filter{}, page.Next, 2)
	require.NoError(t, err)
	assert.Len(t, page.Events, 1)
	assert.Nil(t, page.Next)
	page, err = s.Query(Filter{Environments: []string{"none"}}, nil, 2)
	require.NoError(t, err)
	assert.Empty(t, page.Events)
	assert.False(t, page.Version.IsZero())
}

func TestRecent_KeepsEventsOfQuietEnvironments(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	quiet := event("quiet", 1)
	quiet.Environment = "metrics"
	put(t, s, &Batch{ID: "1"}, quiet, event("old", 2))
	put(t, s, &Batch{ID: "2"}, event("a", 3), event("b", 4), event("c", 5))
	list, err := s.Recent(2, 1)
	require.NoError(t, err)
	var got []string
	for _, e := range list {
		got = append(got, e.Reason)
	}
	assert.Equal(t, []string{"c", "b", "quiet"}, got)
	slices.Reverse(list) // the caller owns the list
	assert.Equal(t, "c", reasons(t, s)[0])
}
