package api

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/internal/arn"
)

const (
	defaultEvents = 100 // in a response if the request has no limit
	maxEvents     = 1000

	maxActorPattern = 500 // characters

	nextToken = "nextToken"
)

var (
	instanceIDPattern = regexp.MustCompile(`^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	uuidPattern       = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// eventFilter reads the filters of events.
func eventFilter(r *http.Request) (f events.Filter, err error) {
	if f.Environments, err = listParameter(r, "environment", environment.IsName,
		"1 to 30 letters, digits, hyphens and underscores"); err != nil {
		return f, err
	}
	if f.Clusters, err = listParameter(r, "cluster", isCluster, ""); err != nil {
		return f, errCluster
	}
	if f.Instances, err = listParameter(r, "instance", isInstance,
		"the ARN or the ID of a container instance"); err != nil {
		return f, err
	}
	if f.Deployments, err = listParameter(r, "deployment", uuidPattern.MatchString, "a lower-case UUID"); err != nil {
		return f, err
	}
	if f.Actions, err = actionsParameter(r); err != nil {
		return f, err
	}
	if actor := r.URL.Query().Get("actor"); len(actor) > maxActorPattern {
		return f, invalidParameter("actor", actor, fmt.Sprintf("at most %d characters", maxActorPattern))
	} else if actor != "" {
		f.Actor = events.ActorPattern(actor)
	}
	if f.Since, err = timeParameter(r, "since"); err != nil {
		return f, err
	}
	if f.Until, err = timeParameter(r, "until"); err != nil {
		return f, err
	}
	if !f.Until.IsZero() && !f.Until.After(f.Since) {
		return f, invalidParameter("until", r.URL.Query().Get("until"), "after since")
	}
	return f, nil
}

// listParameter reads the values of a query parameter, separated by commas; none if it is missing.
func listParameter(r *http.Request, name string, valid func(string) bool, accepted string) ([]string, error) {
	value := r.URL.Query().Get(name)
	if value == "" {
		return nil, nil
	}
	values := strings.Split(value, ",")
	for _, v := range values {
		if !valid(v) {
			return nil, invalidParameter(name, v, accepted)
		}
	}
	return values, nil
}

func isCluster(value string) bool {
	_, err := arn.ParseKind(value, arn.Cluster)
	return err == nil || arn.IsClusterName(value)
}

func isInstance(value string) bool {
	_, err := arn.ParseKind(value, arn.ContainerInstance)
	return err == nil || instanceIDPattern.MatchString(value)
}

func actionsParameter(r *http.Request) (actions []environment.EventAction, err error) {
	var accepted []string
	for _, action := range environment.EventActions {
		accepted = append(accepted, string(action))
	}
	isAction := func(value string) bool { return slices.Contains(accepted, value) }
	values, err := listParameter(r, "action", isAction, "one of "+strings.Join(accepted, ", "))
	for _, value := range values {
		actions = append(actions, environment.EventAction(value))
	}
	return actions, err
}

// timeParameter reads a time; zero if the parameter is missing.
func timeParameter(r *http.Request, name string) (time.Time, error) {
	value := r.URL.Query().Get(name)
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, invalidParameter(name, value, "a time such as 2026-01-31T13:00:00Z")
	}
	return t, nil
}

// limitParameter reads the maximum number of events in a response.
func limitParameter(r *http.Request) (int, error) {
	value := r.URL.Query().Get("limit")
	if value == "" {
		return defaultEvents, nil
	}
	limit, err := strconv.Atoi(value)
	if err != nil || limit < 1 || limit > maxEvents {
		return 0, invalidParameter("limit", value, fmt.Sprintf("1 to %d", maxEvents))
	}
	return limit, nil
}

// positionParameter reads the position after which a stream starts; nil if the parameter is missing.
func positionParameter(r *http.Request) (*events.Position, error) {
	value := r.URL.Query().Get("entityVersion")
	if value == "" {
		return nil, nil
	}
	position, err := events.ParsePosition(value)
	if err != nil {
		return nil, invalidParameter("entityVersion", value, "the entityVersion of a list or of a line")
	}
	return &position, nil
}

// pageToken returns the token of the page that follows the cursor.
func pageToken(r *http.Request, c events.Cursor) string {
	text := fmt.Sprintf("%d,%s,%s", c.HappenedAt.UnixNano(), c.ID, filterHash(r))
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// pageParameter is the reverse of pageToken; nil if the parameter is missing.
func pageParameter(r *http.Request) (*events.Cursor, error) {
	value := r.URL.Query().Get(nextToken)
	if value == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(value)
	parts := strings.Split(string(text), ",")
	if err != nil || len(parts) != 3 {
		return nil, invalidParameter(nextToken, value, "the nextToken of a response")
	}
	nanoseconds, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return nil, invalidParameter(nextToken, value, "the nextToken of a response")
	}
	if parts[2] != filterHash(r) {
		return nil, invalidParameter(nextToken, value, "the nextToken of a response to the same filters")
	}
	return &events.Cursor{HappenedAt: time.Unix(0, nanoseconds), ID: parts[1]}, nil
}

// filterHash identifies the filters of a request for a list of events.
func filterHash(r *http.Request) string {
	query := r.URL.Query()
	query.Del(nextToken)
	query.Del("limit")
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(query.Encode()))), 16)
}
