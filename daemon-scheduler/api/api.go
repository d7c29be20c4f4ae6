// Package api answers daemon-scheduler's /v1 requests, in v0.3's words.
package api

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/apidocs"
	"github.com/blox/blox/internal/httpserver"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// Store is what the API needs of a store. Reads see every write that finished before they began.
type Store interface {
	Get(ctx context.Context, name string) (environment.Environment, error)
	List(ctx context.Context) ([]environment.Environment, error)
	Create(ctx context.Context, e environment.Environment) error
	// Update may call change more than once; what change refuses is returned as it is.
	Update(ctx context.Context, name string, change func(environment.Environment) (environment.Environment, error)) (environment.Environment, error)
	// Delete leaves one that is being deleted with its tasks to that.
	Delete(ctx context.Context, name string) error
	Launches(ctx context.Context, name string) ([]environment.Launch, error)
	Leader(ctx context.Context) (string, error)
	// Changes are those of all environments from now on, until ctx ends or an error is yielded, which is the last.
	Changes(ctx context.Context, heartbeat time.Duration) (iter.Seq2[environment.Change, error], error)
	// Events are those that are kept, oldest first.
	Events() ([]environment.Event, error)
}

// Boards are what many clients follow at once: lines of what there is, then of what has changed, until ctx ends or an error is
// yielded, which is the last. One look serves all of them.
type Boards interface {
	// Instances are InstanceLines of what the instances of an environment do.
	Instances(ctx context.Context, name string, heartbeat time.Duration) iter.Seq2[[]byte, error]
	// Overview are OverviewLines.
	Overview(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error]
}

// Outlook is what follows from the present state of an environment's cluster, which every replica can tell. The last result
// is false while the copy of the clusters is not current.
type Outlook interface {
	// Counts are the environment's and, of its deployments by id, how many of their tasks are running and pending.
	Counts(e environment.Environment) (environment.Counts, map[string]environment.Counts, bool)
	Place(e environment.Environment) ([]environment.InstanceStatus, bool)
	Foresee(e environment.Environment) ([]environment.Step, bool)
}

// Resolver asks ECS for what users name: ARNs of what exists and is active, or the errors of package environment.
type Resolver interface {
	Cluster(ctx context.Context, given string) (arn string, err error)
	TaskDefinition(ctx context.Context, given string) (environment.TaskDefinition, error)
}

// Config is what the API works with.
type Config struct {
	Store    Store
	Resolver Resolver
	Outlook  Outlook
	Boards   Boards
	Replica  string // its name
	// Journal takes down what users have done, for people to read, and does not wait; nil for none.
	Journal func(environment.Event)
	// NotReady says, in a sentence each, why the copy of the clusters cannot be relied on; nothing when it can.
	NotReady func() []string
	Metrics  http.Handler // served at /metrics; nil for none
	Page     http.Handler // served at / and below /page/; nil for none
	Log      logrus.FieldLogger
}

const (
	storeTimeout = 5 * time.Second // for a request's reads and writes in etcd
	readyTimeout = time.Second     // for etcd, when asked whether all is ready
)

type handler struct {
	Config
	answers httpserver.ErrorTable
}

// New is the handler of every path of the API.
func New(cfg Config) http.Handler {
	h := &handler{cfg, httpserver.ErrorTable{Responses: answers, Unexpected: unexpected, Log: cfg.Log}}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/environments":                                 h.createEnvironment,
		"GET /v1/environments":                                  h.listEnvironments,
		"GET /v1/environments/{name}":                           h.getEnvironment,
		"DELETE /v1/environments/{name}":                        h.deleteEnvironment,
		"POST /v1/environments/{name}/deployments":              h.createDeployment,
		"GET /v1/environments/{name}/deployments":               h.listDeployments,
		"GET /v1/environments/{name}/deployments/{id}":          h.getDeployment,
		"PATCH /v1/environments/{name}":                         h.updateEnvironment,
		"GET /v1/environments/{name}/revisions":                 h.listRevisions,
		"GET /v1/environments/{name}/instances":                 h.listInstances,
		"POST /v1/environments/{name}/rollback":                 h.rollback,
		"POST /v1/environments/{name}/pause":                    h.pause,
		"POST /v1/environments/{name}/resume":                   h.resume,
		"POST /v1/environments/{name}/deployments/{id}/stop":    h.stopDeployment,
		"POST /v1/environments/{name}/deployments/{id}/promote": h.promoteDeployment,
		"GET /v1/stream/environments":                           h.stream,
		"GET /v1/stream/environments/{name}/instances":          h.streamInstances,
		"GET /v1/stream/overview":                               h.streamOverview,
		"GET /v1/events":                                        h.listEvents,
		"GET /v1/ping":                                          h.ping,
		"GET /v1/ready":                                         h.ready,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				h.answers.Respond(w, r, err)
			}
		})
	}
	mux.Handle("GET /v1/swagger.json", httpserver.SpecHandler(v1.JSON))
	apidocs.Register(mux)
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	if cfg.Page != nil {
		mux.Handle("GET /{$}", cfg.Page)
		mux.Handle("GET /page/{file}", cfg.Page)
	}
	return httpserver.RedirectToCleanPath(mux)
}

// nothing answers 200 without a body.
func nothing(w http.ResponseWriter) {
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// inTime is the context for a request's reads and writes in etcd.
func inTime(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), storeTimeout)
}
