package api

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

var taskLists = resource[state.TaskSummary]{kind: state.KindTask, filters: state.TaskFilters}

// FuzzListQuery parses list queries and the tokens that continue them.
func FuzzListQuery(f *testing.F) {
	for _, seed := range [][2]string{
		{"", "ecs/task/prod/x"}, {"status=running&limit=1", "ecs/task/a/b"},
		{"limit=1001", ""}, {"limit=+1", ""}, {"nextToken=", "x"}, {"nextToken=e30", ""},
		{"status=running&status=stopped", ""}, {"cluster=%zz", ""}, {"a=b;c=d", ""}, {"startedBy=\xff", "\x00"},
		{"wait=30s&entityVersion=7&maxStaleness=60", ""}, {"wait=30s", ""}, {"entityVersion=7", ""}, {"wait=1e9s", ""},
		{"maxStaleness=99999999999", ""}, {"group=!a,b&since=2026-03-04T10:15:30Z&limit=3", "x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, raw, after string) {
		q, err := taskLists.parseListQuery(raw)
		if err != nil {
			return
		}
		if q.limit < 0 || q.limit > maxLimit {
			t.Fatalf("%q: limit %d", raw, q.limit)
		}
		if q.wait != 0 && (q.wait < minWait || q.wait > maxWait) || q.version < 0 || q.version > 0 && q.wait == 0 {
			t.Fatalf("%q: waits %v for a change after %d", raw, q.wait, q.version)
		}
		if q.maxStaleness < 0 || q.maxStaleness > 24*time.Hour || q.maxStaleness%time.Second != 0 {
			t.Fatalf("%q: max staleness %v", raw, q.maxStaleness)
		}
		if after == "" || !utf8.ValidString(after) || strings.Contains(raw, "nextToken") {
			return
		}
		token := q.token(state.KindTask, after)
		next, err := taskLists.parseListQuery(raw + "&nextToken=" + token)
		if err != nil || next.after != after || !reflect.DeepEqual(next.filter, q.filter) || next.limit != q.limit {
			t.Fatalf("%q continues as %+v, %v", raw, next, err)
		}
		other := q.filter
		other.StartedBy += "x"
		if _, err := (listQuery{filter: other}).parseToken(state.KindTask, token); err == nil {
			t.Fatalf("%q: another list accepts the token", raw)
		}
		if _, err := q.parseToken(state.KindInstance, token); err == nil {
			t.Fatalf("%q: a list of instances accepts the token", raw)
		}
	})
}

func FuzzStreamOptions(f *testing.F) {
	for _, seed := range []string{
		"", "entityVersion=0", "entityVersion=7&cluster=prod&deleted=true&heartbeat=5",
		"entityVersion=%2B1", "entityVersion=99999999999999999999",
		"heartbeat=300", "heartbeat=301", "type=true&snapshot=true&group=!a,b", "snapshot=true&entityVersion=1",
		"status=running&status=stopped", "since=x", "deleted=yes", "cluster=a+b", "entityVersion=1;deleted=true", "x=%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		o, err := parseStreamOptions(state.KindTask, state.TaskFilters, raw)
		if err != nil {
			return
		}
		if o.from < 0 || o.heartbeat < 0 || o.heartbeat > 300*time.Second || o.heartbeat%time.Second != 0 {
			t.Fatalf("%q: %+v", raw, o)
		}
		if o.snapshot && o.from > 0 {
			t.Fatalf("%q resumes a snapshot", raw)
		}
		query, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q accepts a malformed query: %v", raw, err)
		}
		given := query.Get("entityVersion")
		if strings.Trim(given, "0123456789") != "" || o.from == 0 && strings.Trim(given, "0") != "" {
			t.Fatalf("%q: from %d", raw, o.from)
		}
	})
}

func FuzzMatchesETag(f *testing.F) {
	for _, seed := range []string{``, `*`, `"a"`, `W/"a"`, `"b", W/"a"`, `"b","c"`, ` "a" `, `"a`, `W/*`, `,,"a",`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		const tag = `W/"a"`
		if !matchesETag(header+`,"a"`, tag) || !matchesETag(tag+", "+header, tag) {
			t.Fatalf("%q: the tag is not found beside it", header)
		}
		if matchesETag(header, tag) && !strings.Contains(header, `"a"`) && !strings.Contains(header, "*") {
			t.Fatalf("%q matches", header)
		}
	})
}

func TestWaitChange_RejectsMoreRequestsThanItsBound(t *testing.T) {
	tasks := taskLists
	tasks.api = &api{waiters: make(chan struct{})} // no request may wait
	_, err := tasks.waitChange(nil, listQuery{}, &cache.Snapshot{})
	assert.ErrorIs(t, err, state.ErrTooManyWaiters)
}

func TestListQueries_KeepABoundedNumber(t *testing.T) {
	k := taskLists
	k.queries = &listQueries{}
	for n := range maxParsedQueries + 1 {
		raw := "startedBy=" + strconv.Itoa(n)
		for range 2 { // the second one is parsed already
			q, err := k.listQuery(raw)
			require.NoError(t, err)
			assert.Equal(t, strconv.Itoa(n), q.filter.StartedBy)
		}
	}
	assert.Len(t, k.queries.parsed, 1)
	for _, raw := range []string{
		"startedBy=" + strings.Repeat("x", maxParsedLength), "wait=30s&entityVersion=7", "startedBy=1&startedBy=2",
		"nextToken=" + listQuery{}.token(state.KindTask, "ecs/task/a/b"),
	} {
		_, _ = k.listQuery(raw)
		assert.NotContains(t, k.queries.parsed, raw)
	}
}
