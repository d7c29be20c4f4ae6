package api

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/blox/blox/cluster-state-service/state"
)

var taskLists = resource[state.Task]{kind: state.KindTask, filters: state.TaskFilters}

// FuzzListQuery parses list queries and the tokens that continue them.
func FuzzListQuery(f *testing.F) {
	for _, seed := range [][2]string{
		{"", "ecs/task/prod/x"}, {"status=running&limit=1", "ecs/task/a/b"},
		{"limit=1001", ""}, {"limit=+1", ""}, {"nextToken=", "x"}, {"nextToken=e30", ""},
		{"status=running&status=stopped", ""}, {"cluster=%zz", ""}, {"a=b;c=d", ""}, {"startedBy=\xff", "\x00"},
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
		if after == "" || !utf8.ValidString(after) || strings.Contains(raw, "nextToken") {
			return
		}
		token := q.token(state.KindTask, after)
		next, err := taskLists.parseListQuery(raw + "&nextToken=" + token)
		if err != nil || next.after != after || next.filter != q.filter || next.limit != q.limit {
			t.Fatalf("%q continues as %+v, %v", raw, next, err)
		}
		other := q.filter
		other.Family += "x"
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
		"heartbeat=300", "heartbeat=301", "deleted=yes", "cluster=a+b", "entityVersion=1;deleted=true", "x=%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		o, err := parseStreamOptions(raw)
		if err != nil {
			return
		}
		if o.from < 0 || o.heartbeat < 0 || o.heartbeat > 300*time.Second || o.heartbeat%time.Second != 0 {
			t.Fatalf("%q: %+v", raw, o)
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
