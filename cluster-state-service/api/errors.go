package api

import (
	"net/http"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/httpserver"
)

// Unexpected is the text of every error that responses does not list. The log has the details.
const Unexpected = "Unexpected internal server error"

// responses maps errors to HTTP. Clients see no other texts; v0.3 defines most of them.
func responses(log logrus.FieldLogger) httpserver.ErrorTable {
	const badRequest, notFound, unavailable = http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable
	return httpserver.ErrorTable{
		Responses: []httpserver.ErrorResponse{
			{
				Err: state.ErrUnsupportedFilter, Status: badRequest,
				Text: "At least one of the filters provided is unsupported",
			},
			{
				Err: state.ErrRepeatedFilter, Status: badRequest,
				Text: "At least one of the filters provided is specified multiple times",
			},
			{Err: state.ErrInvalidStatus, Status: badRequest, Text: "Invalid status"},
			{Err: state.ErrInvalidCluster, Status: badRequest, Text: "Invalid cluster ARN or name"},
			{Err: state.ErrInvalidDesiredStatus, Status: badRequest, Text: "Invalid desired status"},
			{Err: state.ErrInvalidLaunchType, Status: badRequest, Text: "Invalid launch type"},
			{Err: state.ErrInvalidAttribute, Status: badRequest, Text: "Invalid attribute, want name:value or name"},
			{Err: state.ErrInvalidAgentConnected, Status: badRequest, Text: "Invalid agentConnected, want true or false"},
			{Err: state.ErrInvalidLimit, Status: badRequest, Text: "Invalid limit"},
			{Err: state.ErrInvalidNextToken, Status: badRequest, Text: "Invalid next token"},
			{Err: state.ErrInstanceNotFound, Status: notFound, Text: "Instance not found"},
			{Err: state.ErrTaskNotFound, Status: notFound, Text: "Task not found"},
			{Err: state.ErrInvalidVersion, Status: badRequest, Text: "Invalid entity version"},
			{Err: state.ErrVersionOutOfRange, Status: badRequest, Text: "Entity version is out of range"},
			{Err: state.ErrInvalidDeleted, Status: badRequest, Text: "Invalid deleted, want true or false"},
			{Err: state.ErrInvalidHeartbeat, Status: badRequest, Text: "Invalid heartbeat, want 1 to 300 seconds"},
			{Err: state.ErrNotReconciled, Status: unavailable, Text: "Not yet reconciled with ECS"},
			{Err: state.ErrStoreUnavailable, Status: unavailable, Text: "etcd does not respond"},
		},
		Unexpected: Unexpected,
		Log:        log,
	}
}
