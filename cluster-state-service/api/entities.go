package api

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// list answers {"items":[…],"metadata":{…}}: a walk over the index that joins what is encoded already.
func (k kind[T]) list(w http.ResponseWriter, r *http.Request) {
	filter, err := k.parseFilter(r.URL.RawQuery)
	if err != nil {
		k.fail(w, r, err)
		return
	}
	s, err := k.comparedState(r.Context())
	if err != nil {
		k.fail(w, r, err)
		return
	}
	prefix := k.kind.Prefix()
	if filter.Cluster.Name != "" {
		prefix += filter.Cluster.Name + "/"
	}
	head, tail := []byte(`{"items":[`), encode(models.ListMetadata{
		EntityVersion: conv.Pointer(strconv.FormatInt(s.Revision, 10)), ComparedAt: timestamp(s.Compared(k.region).FinishedAt),
	}, []byte("}\n")...)
	tail = append([]byte(`],"metadata":`), tail...)
	var items [][]byte
	size := len(head) + len(tail)
	for entry := range k.index(s).Prefix(prefix) {
		if k.matches(filter, &entry.Entity) {
			items = append(items, entry.JSON)
			size += len(entry.JSON) + 1
		}
	}
	k.tellFreshness(w.Header(), s)
	w.Header().Set("Content-Type", httpserver.TypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(size-min(len(items), 1))) // a comma less than items
	body := bufio.NewWriterSize(w, 64<<10)                                  // whatever fails to be written: the client has left
	_, _ = body.Write(head)
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
	answerJSON(w, append(slices.Clip(record.JSON), '\n'))
}

func answerJSON(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", httpserver.TypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that has left
}

// parseFilter judges the query in v0.3's order: unsupported, repeated, status, cluster.
func (k kind[T]) parseFilter(rawQuery string) (state.Filter, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return state.Filter{}, fmt.Errorf("%w: %w", state.ErrUnsupportedFilter, err)
	}
	for name := range query {
		if !slices.Contains(k.filters, name) {
			return state.Filter{}, fmt.Errorf("%w: %.100q", state.ErrUnsupportedFilter, name)
		}
	}
	for name, values := range query {
		if len(values) > 1 {
			return state.Filter{}, fmt.Errorf("%w: %s", state.ErrRepeatedFilter, name)
		}
	}
	status, err := state.ParseStatus(k.kind, query.Get("status"))
	if err != nil {
		return state.Filter{}, err
	}
	cluster, err := state.ParseClusterFilter(query.Get("cluster"))
	return state.Filter{Cluster: cluster, Status: status, StartedBy: query.Get("startedBy")}, err
}
