package api

import (
	"bufio"
	"iter"
	"net/http"
	"strconv"
	"sync"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Pools of the memory that building a list needs: 2 MiB of items for 100,000 tasks.
var (
	itemsPool = sync.Pool{New: func() any { return new([][]byte) }}
	bodyPool  = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}
)

var contentTypeJSON = []string{httpserver.ContentTypeJSON}

// list returns {"items":[…],"metadata":{…}}. It joins the encoded entries of the index. A page that is not the last
// also has "nextToken".
func (k resource[T]) list(w http.ResponseWriter, r *http.Request) {
	q, err := k.listQuery(r.URL.RawQuery)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	s, err := k.reconciledSnapshot(r.Context(), q.filter.Cluster, q.maxStaleness)
	if err == nil && q.wait > 0 {
		s, err = k.waitChange(r, q, s)
	}
	if err != nil {
		k.fail(w, r, err)
		return
	}
	k.setFreshness(w.Header(), s)
	if notModified(w, r, k.freshness(s).etags.of(k.kind, q.filter)) {
		return
	}
	pooled := itemsPool.Get().(*[][]byte)
	items, size, next := k.collect(s, q, (*pooled)[:0])
	defer func() {
		clear(items) // the pool must not keep the entries in memory
		*pooled = items
		itemsPool.Put(pooled)
	}()
	writeList(w, items, size, k.listTail(s, next))
}

// collect appends the page's items. It returns their total size, with a comma each, and the token of the next page.
func (k resource[T]) collect(s *cache.Snapshot, q listQuery, items [][]byte) (_ [][]byte, size int, next string) {
	last := ""
	q.filter = k.onInstances(s, q.filter)
	for entry := range k.candidates(s, q) {
		if !k.matches(&q.filter, &entry.Entity) {
			continue
		}
		if q.limit > 0 && len(items) == q.limit {
			return items, size, q.token(k.kind, last)
		}
		items = append(items, entry.JSON())
		size += len(entry.Line)
		last = entry.Key
	}
	return items, size, ""
}

// candidates yields the entries that may match the query, by the most selective index.
func (k resource[T]) candidates(s *cache.Snapshot, q listQuery) iter.Seq[*cache.Entry[T]] {
	prefix := "" // the index holds one kind only
	if q.filter.Cluster.Name != "" {
		prefix = k.kind.Prefix() + q.filter.Cluster.Name + "/"
	}
	if k.kind == state.KindTask && q.filter.StartedBy != "" {
		return k.index(s).BySecondaryKey(q.filter.StartedBy, q.after, prefix)
	}
	if id, one := q.filter.EC2InstanceID.Only(); one && k.kind == state.KindInstance {
		return k.index(s).BySecondaryKey(id, q.after, prefix)
	}
	return k.index(s).After(q.after, prefix)
}

// onInstances prepares a filter of tasks by EC2 instance.
func (k resource[T]) onInstances(s *cache.Snapshot, f state.Filter) state.Filter {
	if k.kind != state.KindTask || f.EC2InstanceID.IsEmpty() {
		return f
	}
	arns := map[string]bool{}
	for _, id := range f.EC2InstanceID.List {
		for entry := range s.Instances.BySecondaryKey(id, "", "") {
			arns[entry.Entity.ARN] = true
		}
	}
	return f.OnInstances(arns)
}

// member is a further member of a list.
type member struct {
	name  string
	value []string // empty leaves it out
}

// listTail returns the part of a list after its items.
func (a *api) listTail(s *cache.Snapshot, next string, further ...member) []byte {
	f := a.freshness(s)
	metadata := models.ListMetadata{EntityVersion: &f.version[0], NotReconciled: s.Reconciliations.NotReconciled}
	if f.reconciledAt != nil {
		metadata.ReconciledAt = f.reconciledAt[0]
	}
	tail := append([]byte(`],"metadata":`), encode(metadata)...)
	if next != "" {
		tail = append(tail, `,"nextToken":`...)
		tail = append(tail, encode(next)...)
	}
	for _, m := range further {
		if len(m.value) > 0 {
			tail = append(tail, `,"`+m.name+`":`...)
			tail = append(tail, encode(m.value)...)
		}
	}
	return append(tail, "}\n"...)
}

// writeList sends the items without copying them into one body first. size is their total size with a comma each.
func writeList(w http.ResponseWriter, items [][]byte, size int, tail []byte) {
	const head = `{"items":[`
	commas := min(len(items), 1) // size counts one comma more than the list has
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+size-commas+len(tail)))
	body := bodyPool.Get().(*bufio.Writer)
	body.Reset(w)
	defer func() {
		body.Reset(nil)
		bodyPool.Put(body)
	}()
	_, _ = body.WriteString(head) // a failed write means that the client has left
	for i, item := range items {
		if i > 0 {
			_ = body.WriteByte(',')
		}
		_, _ = body.Write(item)
	}
	_, _ = body.Write(tail)
	_ = body.Flush()
}

// get returns one entity. A malformed cluster or ARN is not found.
func (k resource[T]) get(w http.ResponseWriter, r *http.Request) {
	key := state.Key{Kind: k.kind, Cluster: r.PathValue("cluster"), ARN: r.PathValue("arn")}
	parsed, err := arn.Parse(key.ARN)
	if err != nil || !arn.IsClusterName(key.Cluster) {
		k.fail(w, r, k.notFound)
		return
	}
	cluster := state.ClusterFilter{Name: key.Cluster, ARN: parsed.ClusterARN(key.Cluster).String()}
	maxStaleness, err := maxStalenessOf(r)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	s, err := k.reconciledSnapshot(r.Context(), cluster, maxStaleness)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	entry := k.index(s).Get(key.String())
	if entry == nil {
		k.fail(w, r, k.notFound)
		return
	}
	k.setFreshness(w.Header(), s)
	if notModified(w, r, entityETag(entry)) {
		return
	}
	w.Header()["Content-Type"] = contentTypeJSON
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(entry.Line))}
	_, _ = w.Write(entry.Line) // a failed write means that the client has left
}
