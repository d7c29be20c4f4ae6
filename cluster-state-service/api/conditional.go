package api

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// maxMaxStaleness is the maximum of maxStaleness, in seconds.
const maxMaxStaleness = 24 * 60 * 60

// listETags hold the entity tags of lists, which many answers share. A tag changes with any entity of its kind and
// with the clusters that were never reconciled, so that it costs no walk. It is weak, because the rest of a list's
// metadata changes more often.
type listETags struct {
	tasks, instances, all []string // header values
	clusters              []string // also changes with the accounts and regions
}

func newListETags(s *cache.Snapshot) listETags {
	clusters := xxhash.Sum64String(strings.Join(s.Reconciliations.NotReconciled, ","))
	tasks := strconv.FormatUint(s.Tasks.Digest()+clusters, 36)
	instances := strconv.FormatUint(s.Instances.Digest()+clusters, 36)
	accounts, regions := reconciledPlaces(s)
	places := strconv.FormatUint(xxhash.Sum64String(strings.Join(slices.Concat(accounts, regions), ",")), 36)
	return listETags{
		clusters: []string{`W/"` + tasks + "-" + instances + "-" + places + `"`},
		tasks:    []string{`W/"` + tasks + `"`}, instances: []string{`W/"` + instances + `"`},
		all: []string{`W/"` + tasks + "-" + instances + `"`},
	}
}

// of returns the tag of a list. A list of tasks by EC2 instance depends on the instances, too.
func (e listETags) of(kind state.Kind, f state.Filter) []string {
	switch {
	case kind == state.KindInstance:
		return e.instances
	case !f.EC2InstanceID.IsEmpty():
		return e.all
	}
	return e.tasks
}

// entityETag returns the header value of an entity's tag.
func entityETag[T any](e *cache.Entry[T]) []string {
	return []string{`"` + strconv.FormatUint(e.Digest(), 36) + `"`}
}

// notModified sets the ETag of the response. If the client has that state already, it responds with 304 and reports
// true.
func notModified(w http.ResponseWriter, r *http.Request, etag []string) bool {
	w.Header()["Etag"] = etag
	for _, header := range r.Header["If-None-Match"] {
		if matchesETag(header, etag[0]) {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// matchesETag reports whether a value of If-None-Match, a list of tags or *, contains the tag. It compares weakly.
func matchesETag(header, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for tag := range strings.SplitSeq(header, ",") { // Blox's tags contain no comma
		tag = textproto.TrimString(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// maxStalenessOf returns the maxStaleness of a request for one entity. Other parameters are ignored, as in v0.3.
func maxStalenessOf(r *http.Request) (time.Duration, error) {
	if r.URL.RawQuery == "" {
		return 0, nil
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // v0.3 ignores malformed parts
	return parseMaxStaleness(query.Get("maxStaleness"))
}

// parseMaxStaleness parses whole seconds; an empty string is 0.
func parseMaxStaleness(given string) (time.Duration, error) {
	if given == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(given, 10, 32)
	if err != nil || seconds > maxMaxStaleness {
		return 0, &state.ParameterError{Parameter: "maxStaleness", Given: given, Accepted: "0 to 86400 seconds"}
	}
	return time.Duration(seconds) * time.Second, nil
}
