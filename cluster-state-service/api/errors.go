package api

import (
	"net/http"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
)

// Unexpected is what clients are told when something went wrong that is not in the table; the log says more.
const Unexpected = "Unexpected internal server error"

// answers is all that clients are ever told of an error; the texts are v0.3's.
func answers(log logrus.FieldLogger) httpserver.ErrorTable {
	return httpserver.ErrorTable{
		Responses: []httpserver.ErrorResponse{
			{Err: state.ErrUnsupportedFilter, Status: http.StatusBadRequest, Text: "At least one of the filters provided is unsupported"},
			{Err: state.ErrRepeatedFilter, Status: http.StatusBadRequest, Text: "At least one of the filters provided is specified multiple times"},
			{Err: state.ErrInvalidStatus, Status: http.StatusBadRequest, Text: "Invalid status"},
			{Err: state.ErrInvalidCluster, Status: http.StatusBadRequest, Text: "Invalid cluster ARN or name"},
			{Err: state.ErrInvalidDesiredStatus, Status: http.StatusBadRequest, Text: "Invalid desired status"},
			{Err: state.ErrInvalidLaunchType, Status: http.StatusBadRequest, Text: "Invalid launch type"},
			{Err: state.ErrInvalidAttribute, Status: http.StatusBadRequest, Text: "Invalid attribute, want name:value or name"},
			{Err: state.ErrInvalidAgentConnected, Status: http.StatusBadRequest, Text: "Invalid agentConnected, want true or false"},
			{Err: state.ErrInvalidLimit, Status: http.StatusBadRequest, Text: "Invalid limit"},
			{Err: state.ErrInvalidNextToken, Status: http.StatusBadRequest, Text: "Invalid next token"},
			{Err: state.ErrInstanceNotFound, Status: http.StatusNotFound, Text: "Instance not found"},
			{Err: state.ErrTaskNotFound, Status: http.StatusNotFound, Text: "Task not found"},
			{Err: state.ErrInvalidVersion, Status: http.StatusBadRequest, Text: "Invalid entity version"},
			{Err: state.ErrVersionOutOfRange, Status: http.StatusBadRequest, Text: "Entity version is out of range"},
			{Err: state.ErrInvalidDeleted, Status: http.StatusBadRequest, Text: "Invalid deleted, want true or false"},
			{Err: state.ErrInvalidHeartbeat, Status: http.StatusBadRequest, Text: "Invalid heartbeat, want 1 to 300 seconds"},
			{Err: state.ErrNotReconciled, Status: http.StatusServiceUnavailable, Text: "Not yet reconciled with ECS"},
			{Err: state.ErrStoreUnavailable, Status: http.StatusServiceUnavailable, Text: "etcd does not answer"},
		},
		Unexpected: Unexpected,
		Log:        log,
	}
}
