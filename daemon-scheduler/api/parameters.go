package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/filter"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/httpstream"
)

// invalidParameter returns the error of a query parameter. Accepted completes the sentence "must be …".
func invalidParameter(name, value, accepted string) error {
	return &invalid{
		text:    fmt.Sprintf("Invalid %s %.100q: must be %s", name, value, accepted),
		details: httpserver.Details{Parameter: name, Accepted: accepted},
	}
}

// boolParameter reads a query parameter that is true or false; false if it is missing.
func boolParameter(r *http.Request, name string) (bool, error) {
	switch value := r.URL.Query().Get(name); value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, invalidParameter(name, value, "true or false")
	}
}

// revisionParameter reads the number of a revision; 0 if the parameter is missing.
func revisionParameter(r *http.Request) (int, error) {
	value := r.URL.Query().Get("revision")
	if value == "" && !r.URL.Query().Has("revision") {
		return 0, nil
	}
	number, err := strconv.Atoi(value)
	if err != nil || number < 1 {
		return 0, invalidParameter("revision", value, "a whole number of 1 or more")
	}
	return number, nil
}

// heartbeatParameter reads the interval of a stream's heartbeats; 0 if the parameter is missing.
func heartbeatParameter(r *http.Request) (time.Duration, error) {
	value := r.URL.Query().Get("heartbeat")
	interval, ok := httpstream.ParseHeartbeat(value)
	if !ok {
		return 0, invalidParameter("heartbeat", value, "1 to 300 seconds")
	}
	return interval, nil
}

// groupByParameter reads by which property instances are grouped; empty if the parameter is missing.
func groupByParameter(r *http.Request) (environment.Grouping, error) {
	value := r.URL.Query().Get("groupBy")
	groupBy, err := environment.ParseGrouping(value)
	if err != nil {
		return "", invalidParameter("groupBy", value, environment.AcceptedGroupings)
	}
	return groupBy, nil
}

// stopKind reads how a deployment is stopped; StopRollback if the parameter is missing.
func stopKind(r *http.Request) (environment.StopKind, error) {
	switch value := r.URL.Query().Get("type"); environment.StopKind(value) {
	case "", environment.StopRollback:
		return environment.StopRollback, nil
	case environment.StopAbort:
		return environment.StopAbort, nil
	default:
		return "", invalidParameter("type", value, "ROLLBACK or ABORT")
	}
}

// typeDaemon is the only type of environments: one task on each selected instance.
const typeDaemon = "DAEMON"

// environmentFilters are the parameters of the list of environments.
var environmentFilters = []string{"cluster", "account", "region", "environmentType", "nextToken"}

// environmentFilter reads the filters of a list. The checks run in v0.3's order.
func environmentFilter(query url.Values) (matches func(environment.Environment) bool, err error) {
	for key := range query {
		if !slices.Contains(environmentFilters, key) {
			return nil, errUnsupported
		}
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, errRepeated
		}
	}
	if matches, err = clusterFilter(query); err != nil {
		return nil, err
	}
	if value := query.Get("environmentType"); value != "" && value != typeDaemon {
		return nil, invalidParameter("environmentType", value, typeDaemon)
	}
	return matches, nil
}

// clusterFilter returns a filter by the parameters cluster, a name or an ARN, account and region. Without them, it
// matches all environments.
func clusterFilter(query url.Values) (matches func(environment.Environment) bool, err error) {
	cluster := query.Get("cluster")
	isName := arn.IsClusterName(cluster)
	if _, err := arn.ParseKind(cluster, arn.Cluster); cluster != "" && !isName && err != nil {
		return nil, errCluster
	}
	place, err := filter.ParsePlace(query.Get)
	if p := (*filter.ParameterError)(nil); errors.As(err, &p) {
		return nil, invalidParameter(p.Parameter, p.Given, p.Accepted)
	}
	return func(e environment.Environment) bool {
		a, err := arn.ParseKind(e.Cluster, arn.Cluster)
		named := cluster == "" || !isName && cluster == e.Cluster || isName && err == nil && cluster == a.Cluster
		return named && place.Matches(e.Cluster)
	}, nil
}
