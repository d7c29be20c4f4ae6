// Package api answers the requests under /v1 that swagger/cluster-state-service/v1/swagger.json describes.
package api

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/apidocs"
	"github.com/blox/blox/internal/httpserver"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Config is what New needs.
type Config struct {
	Cache      *cache.Cache
	Region     string                     // whose comparison with ECS makes the service ready
	OutOfSpace func(context.Context) bool // tells that etcd has no space left, so that the service is not ready
	Metrics    http.Handler               // served at /metrics; nil for none
	Log        logrus.FieldLogger
}

// api is what the handlers share.
type api struct {
	cache  *cache.Cache
	region string
	full   func(context.Context) bool
	fail   func(http.ResponseWriter, *http.Request, error)
	told   atomic.Pointer[freshness] // of the latest snapshot that was shown
}

// New serves the API from the view.
func New(c Config) http.Handler {
	a := &api{cache: c.Cache, region: c.Region, full: c.OutOfSpace, fail: answers(c.Log).Respond}
	tasks := kind[state.Task]{a, state.KindTask, state.ErrTaskNotFound,
		func(s *cache.Snapshot) cache.Index[state.Task] { return s.Tasks }, state.Filter.MatchesTask, state.TaskFilters}
	instances := kind[state.Instance]{a, state.KindInstance, state.ErrInstanceNotFound,
		func(s *cache.Snapshot) cache.Index[state.Instance] { return s.Instances }, state.Filter.MatchesInstance, state.InstanceFilters}

	mux := http.NewServeMux()
	mux.Handle("GET /v1/tasks", compressed(tasks.list))
	mux.HandleFunc("GET /v1/tasks/{cluster}/{arn...}", tasks.get)
	mux.HandleFunc("/v1/tasks/{cluster}", http.NotFound)
	mux.HandleFunc("GET /v1/stream/tasks", tasks.stream)
	mux.Handle("GET /v1/instances", compressed(instances.list))
	mux.HandleFunc("GET /v1/instances/{cluster}/{arn...}", instances.get)
	mux.HandleFunc("/v1/instances/{cluster}", http.NotFound)
	mux.HandleFunc("GET /v1/stream/instances", instances.stream)
	mux.HandleFunc("GET /v1/clusters", a.clusters)
	mux.HandleFunc("GET /v1/ping", ping)
	mux.HandleFunc("GET /v1/ready", a.ready)
	mux.Handle("GET /v1/swagger.json", httpserver.SpecHandler(v1.JSON))
	apidocs.Register(mux)
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	return httpserver.RedirectToCleanPath(mux)
}

// kind is the handlers of one kind of entity.
type kind[T any] struct {
	*api
	kind     state.Kind
	notFound error
	index    func(*cache.Snapshot) cache.Index[T]
	matches  func(state.Filter, *T) bool
	filters  []string // the query parameters of list, beside limit and nextToken
}

// comparedState is the state as of this request, once it is worth showing: an answer from before the first comparison
// with ECS could lack everything.
func (a *api) comparedState(ctx context.Context) (*cache.Snapshot, error) {
	s, err := a.cache.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	if a.freshness(s).reconciledAt == nil {
		return nil, state.ErrNotReconciled
	}
	return s, nil
}

// freshness is what the headers say of a snapshot.
type freshness struct {
	revision              int64
	compared              time.Time
	version, reconciledAt []string // header values; the latter nil when there never was a comparison
}

// freshness is worked out once a revision, of which many answers are made. It does not keep the snapshot itself.
func (a *api) freshness(s *cache.Snapshot) *freshness {
	at := s.LastReconcile(a.region).FinishedAt
	if f := a.told.Load(); f != nil && f.revision == s.Revision && f.compared.Equal(at) {
		return f
	}
	f := &freshness{revision: s.Revision, compared: at, version: []string{strconv.FormatInt(s.Revision, 10)}}
	if !at.IsZero() {
		f.reconciledAt = []string{state.Timestamp(at)}
	}
	a.told.Store(f)
	return f
}

// tellFreshness sets the headers that say how fresh an answer is.
func (a *api) tellFreshness(h http.Header, s *cache.Snapshot) {
	f := a.freshness(s)
	h["Blox-Entity-Version"] = f.version
	if f.reconciledAt != nil {
		h["Blox-Reconciled-At"] = f.reconciledAt
	}
}

func ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
}

// ready waits for etcd only briefly: whoever asks wants to know now.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	s, err := a.cache.WaitCurrent(ctx)
	reasons := []string{}
	if err != nil {
		reasons = append(reasons, "etcd does not answer")
		s = a.cache.Snapshot()
	}
	answer := models.Readiness{Leader: new(string), Ready: new(bool)}
	if s == nil {
		reasons = append(reasons, "the state is not loaded from etcd yet")
	} else {
		*answer.Leader = s.Leader()
		if s.LastReconcile(a.region).FinishedAt.IsZero() {
			reasons = append(reasons, "not yet reconciled with ECS")
		}
	}
	if a.full(ctx) {
		reasons = append(reasons, "etcd is out of space: events wait in the queue until there is some")
	}
	*answer.Ready, answer.Reasons = len(reasons) == 0, reasons
	status := http.StatusOK
	if !*answer.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	httpserver.JSON(w, status, answer)
}
