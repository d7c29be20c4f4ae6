package api

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is one operation of the API.
type route struct {
	serve func(http.ResponseWriter, *http.Request) error
	// lenient operations ignore unknown query parameters and bodies, as v0.3 does. The others refuse them: a misspelled
	// parameter must not turn into a different operation.
	lenient    bool
	parameters []string // the query parameters that it has
	readsBody  bool
}

// routes returns the operations by the patterns of http.ServeMux.
func (h *handler) routes() map[string]route {
	lenient := func(serve func(http.ResponseWriter, *http.Request) error) route {
		return route{serve: serve, lenient: true}
	}
	strict := func(serve func(http.ResponseWriter, *http.Request) error, parameters ...string) route {
		return route{serve: serve, parameters: parameters}
	}
	const environment = "/v1/environments/{name}"
	return map[string]route{
		"POST /v1/environments":                    lenient(h.createEnvironment),
		"GET /v1/environments":                     lenient(h.listEnvironments),
		"GET " + environment:                       lenient(h.getEnvironment),
		"DELETE " + environment:                    lenient(h.deleteEnvironment),
		"POST " + environment + "/deployments":     lenient(h.createDeployment),
		"GET " + environment + "/deployments":      lenient(h.listDeployments),
		"GET " + environment + "/deployments/{id}": lenient(h.getDeployment),
		"GET /v1/ping":                             lenient(h.ping),
		"GET /v1/ready":                            lenient(h.ready), // for health checkers

		"PATCH " + environment: {
			serve: h.updateEnvironment, parameters: []string{"deploymentToken", "dryRun"}, readsBody: true,
		},
		"GET " + environment + "/revisions":                 strict(h.listRevisions),
		"GET " + environment + "/revisions/{revision}":      strict(h.getRevision),
		"GET " + environment + "/instances":                 strict(h.listInstances, "groupBy"),
		"POST " + environment + "/rollback":                 strict(h.rollback, "revision", "dryRun"),
		"POST " + environment + "/pause":                    strict(h.pause),
		"POST " + environment + "/takeover/cancel":          strict(h.cancelTakeover),
		"POST " + environment + "/resume":                   strict(h.resume),
		"POST " + environment + "/deployments/{id}/stop":    strict(h.stopDeployment, "type"),
		"POST " + environment + "/deployments/{id}/promote": strict(h.promoteDeployment, "step", "full"),
		"GET /v1/stream/environments": strict(h.streamEnvironments,
			"cluster", "account", "region", "deleted", "heartbeat"),
		"GET /v1/stream/environments/{name}/instances": strict(h.streamInstances, "heartbeat", "groupBy"),
		"GET /v1/stream/overview":                      strict(h.streamOverview, "heartbeat"),
		"GET /v1/events":                               strict(h.listEvents, listEventFilters...),
		"GET /v1/stream/events":                        strict(h.streamEvents, streamEventFilters...),
	}
}

// handle serves the request unless it has something that the operation does not know.
func (o route) handle(w http.ResponseWriter, r *http.Request) error {
	if !o.lenient {
		if err := checkQuery(r.URL.Query(), o.parameters); err != nil {
			return err
		}
		if !o.readsBody {
			if err := checkNoFields(r.Body); err != nil {
				return err
			}
		}
	}
	return o.serve(w, r)
}

// checkQuery refuses parameters other than the accepted ones, and repeated ones.
func checkQuery(query url.Values, accepted []string) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(accepted, name) {
			text := "none is accepted"
			if len(accepted) > 0 {
				text = "accepted: " + strings.Join(accepted, ", ")
			}
			return &invalid{text: fmt.Sprintf("Unknown query parameter %.100q; %s", name, text)}
		}
		if len(query[name]) > 1 {
			return &invalid{text: fmt.Sprintf("Query parameter %q is repeated", name)}
		}
	}
	return nil
}

// checkNoFields refuses the body of an operation that has none, unless it is empty or an empty object.
func checkNoFields(body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil
	}
	fields, err := decodeAny(data)
	if err != nil {
		return notJSON(err)
	}
	object, ok := fields.(map[string]any)
	if !ok {
		return &invalid{text: "The body must be empty: this operation has no fields"}
	}
	var w bodyWalker
	for _, key := range slices.Sorted(maps.Keys(object)) {
		w.descend(key, func() { w.addFailure("is a forbidden property") })
	}
	return validate(nil, w.failures...)
}
