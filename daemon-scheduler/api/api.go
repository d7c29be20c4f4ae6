// Package api serves daemon-scheduler's HTTP API. v0.3 defines its error texts.
package api

import (
	"context"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/apidocs"
	"github.com/blox/blox/internal/httpserver"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// Config holds the API's dependencies.
type Config struct {
	Store  *store.Store
	Cache  *cache.Cache
	Status *status.Status
	Events *events.Store
	// Resolver returns the resolver for a cluster, given its ARN or name, whose calls assume the role, if that is set.
	Resolver func(role environment.Role, cluster string) Resolver
	// RecordEvent records what a user has done. It does not block.
	RecordEvent func(environment.Event)
	Metrics     http.Handler // served at /metrics
	UI          http.Handler // served at / and below /page/
	Log         logrus.FieldLogger
}

// Resolver resolves what users name to the ARNs of active resources in ECS, or returns the errors of package
// environment. ecsapi.Client implements it.
type Resolver interface {
	Cluster(ctx context.Context, given string) (arn string, err error)
	TaskDefinition(ctx context.Context, given string) (environment.TaskDefinition, error)
	Service(ctx context.Context, cluster, given string) (environment.Service, error)
}

const storeTimeout = 5 * time.Second // for a request's reads and writes in etcd

type handler struct {
	Config
	errors httpserver.ErrorTable
}

// New returns the handler of all paths of the service.
func New(cfg Config) http.Handler {
	h := &handler{cfg, httpserver.ErrorTable{
		Responses: errorResponses, Unexpected: unexpected, Details: errorDetails, Log: cfg.Log,
	}}
	mux := http.NewServeMux()
	for pattern, route := range h.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			serve := route.handle
			if r.Method == http.MethodPost || r.Method == http.MethodPatch {
				serve = func(w http.ResponseWriter, r *http.Request) error { return h.serveOnce(w, r, route.handle) }
			}
			if err := serve(w, r); err != nil {
				h.errors.Respond(w, r, err)
			}
		})
	}
	apidocs.Register(mux, apidocs.Spec{Swagger: v1.JSON, OpenAPI: v1.OpenAPI})
	mux.Handle("GET /metrics", cfg.Metrics)
	mux.Handle("GET /{$}", cfg.UI)
	mux.Handle("GET /page/{file}", cfg.UI)
	return httpserver.RedirectToCleanPath(mux)
}

// writeEmpty responds with 200 and no body.
func writeEmpty(w http.ResponseWriter) {
	w.Header().Set("Content-Type", httpserver.ContentTypeJSON)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// withStoreTimeout returns the context for a request's reads and writes in etcd.
func withStoreTimeout(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), storeTimeout)
}
