// Package api serves the API that swagger/cluster-state-service/v1/swagger.json describes.
package api

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/apidocs"
	"github.com/blox/blox/internal/httpserver"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

// Config holds New's inputs.
type Config struct {
	Cache      *cache.Cache
	Sources    func() []state.Source      // whose first reconciliation makes the service ready
	OutOfSpace func(context.Context) bool // reports that etcd is out of space, which makes the service unready
	// QueueProblems returns, for each source with a queue, why no events are received. The service is not ready if that is
	// so for all of them.
	QueueProblems func() []state.QueueProblem
	// RefreshInstances corrects the records of a cluster's instances from ECS, and returns how many differed.
	RefreshInstances func(ctx context.Context, clusterARN string, arns []string) (corrected int, err error)
	Progress         func() state.IngestProgress // how far this replica has read the queue or stream
	Metrics          http.Handler                // served at /metrics; nil serves none
	UI               http.Handler                // served at / and below /page/; nil serves none
	Log              logrus.FieldLogger
}

// api holds what all handlers share.
type api struct {
	cache         *cache.Cache
	sources       func() []state.Source
	outOfSpace    func(context.Context) bool
	queueProblems func() []state.QueueProblem
	refresher     func(context.Context, string, []string) (int, error)
	progress      func() state.IngestProgress
	fail          func(http.ResponseWriter, *http.Request, error)
	freshest      atomic.Pointer[freshness] // of the snapshot used last
	waiters       chan struct{}             // holds a token for each list that waits for a change
}

// resource holds the handlers of one kind of entity.
type resource[T any] struct {
	*api
	kind     state.Kind
	notFound error
	index    func(*cache.Snapshot) cache.Index[T]
	matches  func(*state.Filter, *T) bool
	filters  []string // query parameters of list, beside limit and nextToken
	queries  *listQueries
}

// New returns the handler of the whole API.
func New(cfg Config) http.Handler {
	a := &api{
		cache: cfg.Cache, sources: cfg.Sources, outOfSpace: cfg.OutOfSpace, queueProblems: cfg.QueueProblems,
		refresher: cfg.RefreshInstances, progress: cfg.Progress, fail: responses(cfg.Log).Respond,
		waiters: make(chan struct{}, maxWaiters),
	}
	tasks := resource[state.TaskSummary]{
		api: a, kind: state.KindTask, notFound: state.ErrTaskNotFound,
		index:   func(s *cache.Snapshot) cache.Index[state.TaskSummary] { return s.Tasks },
		matches: (*state.Filter).MatchesTask, filters: state.TaskFilters, queries: &listQueries{},
	}
	instances := resource[state.Instance]{
		api: a, kind: state.KindInstance, notFound: state.ErrInstanceNotFound,
		index:   func(s *cache.Snapshot) cache.Index[state.Instance] { return s.Instances },
		matches: (*state.Filter).MatchesInstance, filters: state.InstanceFilters,
		queries: &listQueries{},
	}

	mux := http.NewServeMux()
	mux.Handle("GET /v1/tasks", compress(tasks.list))
	mux.HandleFunc("GET /v1/tasks/{cluster}/{arn...}", tasks.get)
	mux.HandleFunc("/v1/tasks/{cluster}", httpserver.NotFound)
	mux.HandleFunc("GET /v1/stream/tasks", tasks.stream)
	mux.Handle("GET /v1/instances", compress(instances.list))
	mux.HandleFunc("GET /v1/instances/{cluster}/{arn...}", instances.get)
	mux.HandleFunc("/v1/instances/{cluster}", httpserver.NotFound)
	mux.HandleFunc("POST /v1/instances/refresh", a.refresh)
	mux.HandleFunc("/v1/instances/refresh", httpserver.MethodNotAllowed("POST"))
	mux.HandleFunc("GET /v1/stream/instances", instances.stream)
	mux.HandleFunc("GET /v1/clusters", a.listClusters)
	mux.HandleFunc("GET /v1/ping", ping)
	mux.HandleFunc("GET /v1/ready", a.ready)
	apidocs.Register(mux, apidocs.Spec{Swagger: v1.JSON, OpenAPI: v1.OpenAPI})
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	if cfg.UI != nil {
		mux.Handle("GET /{$}", cfg.UI)
		mux.Handle("GET /page/{file}", cfg.UI)
	}
	return httpserver.RedirectToCleanPath(mux)
}
