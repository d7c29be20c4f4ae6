package api

import (
	"bufio"
	"net/http"
	"strconv"
	"sync"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// list answers {"items":[…],"metadata":{…}}: a walk over the index that joins what is encoded already. With a limit, the
// page is followed by "nextToken" unless it is the last.
func (k kind[T]) list(w http.ResponseWriter, r *http.Request) {
	q, err := k.parseListQuery(r.URL.RawQuery)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	s, err := k.comparedState(r.Context())
	if err != nil {
		k.fail(w, r, err)
		return
	}
	prefix := "" // the index has no other kind
	if q.filter.Cluster.Name != "" {
		prefix = k.kind.Prefix() + q.filter.Cluster.Name + "/"
	}
	room := itemsRoom.Get().(*[][]byte)
	items := (*room)[:0]
	defer func() {
		clear(items) // or they would be kept from the garbage
		*room = items
		itemsRoom.Put(room)
	}()
	var last, next string
	size := 0
	found := k.index(s).After(q.after, prefix)
	if k.kind == state.KindTask && q.filter.StartedBy != "" { // which they are marked by
		found = k.index(s).BySecondaryKey(q.filter.StartedBy, q.after, prefix)
	}
	for entry := range found {
		if !k.matches(q.filter, &entry.Entity) {
			continue
		}
		if q.limit > 0 && len(items) == q.limit {
			next = q.token(k.kind, last)
			break
		}
		items, last = append(items, entry.JSON()), entry.Key
		size += len(entry.Line)
	}
	k.tellFreshness(w.Header(), s)
	writeList(w, items, size, k.listTail(s, next))
}

// What a list needs while it is made: for all of 100,000 tasks, 2 MiB of items.
var (
	itemsRoom = sync.Pool{New: func() any { return new([][]byte) }}
	bodyRoom  = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}
)

// listTail is what follows the items of a list.
func (a *api) listTail(s *cache.Snapshot, next string) []byte {
	f := a.freshness(s)
	metadata := encode(models.ListMetadata{EntityVersion: &f.version[0], ReconciledAt: f.reconciledAt[0]})
	tail := append([]byte(`],"metadata":`), metadata...)
	if next != "" {
		tail = append(append(tail, `,"nextToken":`...), encode(next)...)
	}
	return append(tail, "}\n"...)
}

// writeList sends items, of size bytes with a comma each, without copying them into one body first.
func writeList(w http.ResponseWriter, items [][]byte, size int, tail []byte) {
	const head = `{"items":[`
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+size-min(len(items), 1)+len(tail))) // a comma less than items
	body := bodyRoom.Get().(*bufio.Writer)
	body.Reset(w)
	defer func() { body.Reset(nil); bodyRoom.Put(body) }()
	_, _ = body.WriteString(head) // whatever fails to be written: the client has left
	for i, item := range items {
		if i > 0 {
			_ = body.WriteByte(',')
		}
		_, _ = body.Write(item)
	}
	_, _ = body.Write(tail)
	_ = body.Flush()
}

// get answers one entity. A malformed cluster or ARN names nothing, so it is not found.
func (k kind[T]) get(w http.ResponseWriter, r *http.Request) {
	key := state.Key{Kind: k.kind, Cluster: r.PathValue("cluster"), ARN: r.PathValue("arn")}
	if _, err := arn.Parse(key.ARN); err != nil || !arn.IsClusterName(key.Cluster) {
		k.fail(w, r, k.notFound)
		return
	}
	s, err := k.comparedState(r.Context())
	if err != nil {
		k.fail(w, r, err)
		return
	}
	record := k.index(s).Get(key.String())
	if record == nil {
		k.fail(w, r, k.notFound)
		return
	}
	k.tellFreshness(w.Header(), s)
	answerJSON(w, record.Line)
}

func answerJSON(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that has left
}
