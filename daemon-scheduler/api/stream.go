package api

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/httpstream"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// streamEnvironments sends a line for every change of an environment until the client leaves or the service stops.
func (h *handler) streamEnvironments(w http.ResponseWriter, r *http.Request) error {
	deleted, err := boolParameter(r, "deleted")
	if err != nil {
		return err
	}
	heartbeat, err := heartbeatParameter(r)
	if err != nil {
		return err
	}
	matches, err := clusterFilter(r.URL.Query())
	if err != nil {
		return err
	}
	return httpstream.Serve(w, r, func(ctx context.Context) (iter.Seq2[httpstream.Line, error], error) {
		changes, err := h.Cache.Watch(ctx, heartbeat)
		if err != nil {
			return nil, err
		}
		return func(yield func(httpstream.Line, error) bool) {
			for c, err := range changes {
				if err != nil {
					yield(httpstream.Line{}, err)
					return
				}
				if !c.Heartbeat && (!matches(c.Environment) || c.Deleted && !deleted) {
					continue
				}
				if !yield(httpstream.Line{Text: c.Line(h.changeLine)}, nil) {
					return
				}
			}
		}, nil
	}, func(err error) []byte {
		if !deleted && heartbeat == 0 { // such a client expects environments only
			return nil
		}
		return httpserver.EncodeJSON(streamMessage{Error: err.Error()})
	})
}

// changeLine encodes a change of an environment, or a heartbeat.
func (h *handler) changeLine(c environment.Change) []byte {
	switch {
	case c.Heartbeat:
		return httpserver.EncodeJSON(streamMessage{Metadata: metadata(c)})
	case c.Deleted:
		return httpserver.EncodeJSON(streamMessage{Metadata: metadata(c), Name: c.Environment.Name})
	}
	shown := h.showEnvironment(c.Environment)
	shown.Metadata = metadata(c)
	return httpserver.EncodeJSON(shown)
}

func (h *handler) streamInstances(w http.ResponseWriter, r *http.Request) error {
	groupBy, err := groupByParameter(r)
	if err != nil {
		return err
	}
	ctx, cancel := withStoreTimeout(r)
	e, err := h.get(ctx, r.PathValue("name"))
	cancel()
	if err != nil {
		return err
	}
	return h.streamLines(w, r, func(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error] {
		return h.Status.WatchInstances(ctx, e.Name, groupBy, heartbeat)
	})
}

func (h *handler) streamOverview(w http.ResponseWriter, r *http.Request) error {
	return h.streamLines(w, r, h.Status.WatchOverview)
}

// streamLines sends the lines of a stream until the client leaves or the service stops.
func (h *handler) streamLines(
	w http.ResponseWriter, r *http.Request,
	watch func(context.Context, time.Duration) iter.Seq2[[]byte, error],
) error {
	heartbeat, err := heartbeatParameter(r)
	if err != nil {
		return err
	}
	return httpstream.Serve(w, r, func(ctx context.Context) (iter.Seq2[httpstream.Line, error], error) {
		return func(yield func(httpstream.Line, error) bool) {
			for lines, err := range watch(ctx, heartbeat) {
				if !yield(httpstream.Line{Text: lines}, err) {
					return
				}
			}
		}, nil
	}, func(err error) []byte {
		if errors.Is(err, environment.ErrNotFound) {
			return httpserver.EncodeJSON(streamMessage{Error: err.Error()})
		}
		httpserver.RequestLog(h.Log, r).WithError(err).WithField("path", r.URL.Path).Warn("stream ended")
		return httpserver.EncodeJSON(streamMessage{Error: unexpected})
	})
}

// streamMessage is a line without an environment: a deletion, a heartbeat or the error that ends the stream.
type streamMessage struct {
	Metadata *models.Metadata `json:"metadata,omitempty"`
	Name     string           `json:"name,omitempty"`
	Error    string           `json:"error,omitempty"`
}

func metadata(c environment.Change) *models.Metadata {
	version := strconv.FormatInt(c.Version, 10)
	return &models.Metadata{EntityVersion: &version, Deleted: c.Deleted}
}
