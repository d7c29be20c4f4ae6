package api

import (
	"errors"
	"net/http"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
)

// Errors of requests that are invalid whatever the state is.
var (
	errInvalid     = errors.New("invalid request") // matches every *invalid
	errUnsupported = errors.New("unsupported filter")
	errRepeated    = errors.New("repeated filter")
	errCluster     = errors.New("invalid cluster")
)

// invalid is an error of a request. The client receives its text.
type invalid struct{ text string }

func (i *invalid) Error() string        { return i.text }
func (i *invalid) Is(target error) bool { return target == errInvalid }

// unexpected is the text of every error that errorResponses does not match.
const unexpected = "Server Error"

// errorResponses maps errors to responses; clients learn nothing else about errors. The texts are v0.3's. A response
// without a text has the error's own, which names the offending value.
var errorResponses = []httpserver.ErrorResponse{
	{Err: errInvalid, Status: http.StatusBadRequest},
	{Err: errUnsupported, Status: http.StatusBadRequest, Text: "At least one of the filters provided is not supported"},
	{
		Err: errRepeated, Status: http.StatusBadRequest,
		Text: "At least one of the filters provided is specified multiple times",
	},
	{Err: errCluster, Status: http.StatusBadRequest, Text: "Invalid cluster ARN or name"},

	{Err: environment.ErrTokenMissing, Status: http.StatusBadRequest},
	{Err: environment.ErrTokenMalformed, Status: http.StatusBadRequest},
	{Err: environment.ErrTokenOutdated, Status: http.StatusBadRequest},
	{Err: environment.ErrTokenUsed, Status: http.StatusBadRequest},
	{Err: environment.ErrInProgress, Status: http.StatusBadRequest},
	{Err: environment.ErrExists, Status: http.StatusBadRequest},

	{Err: environment.ErrUpdateTokenOutdated, Status: http.StatusConflict},
	{Err: environment.ErrDeleting, Status: http.StatusConflict},
	{Err: environment.ErrNoRollbackTarget, Status: http.StatusConflict},
	{Err: environment.ErrNoCanary, Status: http.StatusConflict},

	{Err: environment.ErrNotFound, Status: http.StatusNotFound},
	{Err: environment.ErrDeploymentNotFound, Status: http.StatusNotFound},
	{Err: environment.ErrRevisionNotFound, Status: http.StatusNotFound},
	{Err: environment.ErrTargetUnusable, Status: http.StatusNotFound},
	{Err: environment.ErrClusterNotFound, Status: http.StatusNotFound, Text: "Cluster does not exist"},
	{Err: environment.ErrClusterInactive, Status: http.StatusNotFound, Text: "Cluster is inactive"},
	{Err: environment.ErrTaskDefinitionNotFound, Status: http.StatusNotFound, Text: "TaskDefinition does not exist"},
	{Err: environment.ErrTaskDefinitionInactive, Status: http.StatusNotFound, Text: "TaskDefinition is inactive"},

	{Err: environment.ErrECSUnavailable, Status: http.StatusServiceUnavailable, Text: "ECS does not respond"},
	{Err: environment.ErrClusterStateStale, Status: http.StatusServiceUnavailable, Text: "The cluster state is stale"},
	{Err: environment.ErrStoreUnavailable, Status: http.StatusServiceUnavailable, Text: "etcd does not respond"},
	{Err: environment.ErrStoreOutOfSpace, Status: http.StatusServiceUnavailable, Text: "etcd is out of space"},
}
