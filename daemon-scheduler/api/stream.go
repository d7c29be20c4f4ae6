package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// stream sends a line for every change of an environment until the client leaves or the service stops.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) error {
	deleted, err := flag(r, "deleted")
	if err != nil {
		return err
	}
	heartbeat, err := heartbeat(r)
	if err != nil {
		return err
	}
	matches, err := filter(url.Values{"cluster": {r.URL.Query().Get("cluster")}})
	if err != nil {
		return err
	}
	ctx, cancel := httpserver.Streaming(r)
	defer cancel()
	changes, err := h.Store.Changes(ctx, heartbeat)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	if err := flush(); err != nil || r.Method == http.MethodHead {
		return nil
	}
	for c, err := range changes {
		var line []byte
		switch {
		case err != nil && !deleted && heartbeat == 0:
			panic(http.ErrAbortHandler) // the client knows changes only; a clean end would say that all is well
		case err != nil:
			line = encode(streamMessage{Error: err.Error()}) // the last one
		case c.Heartbeat:
			line = encode(streamMessage{Metadata: metadata(c)})
		case !matches(c.Environment) || c.Deleted && !deleted:
			continue
		case c.Deleted:
			line = encode(streamMessage{Metadata: metadata(c), Name: c.Environment.Name})
		default:
			shown := h.showEnvironment(c.Environment)
			shown.Metadata = metadata(c)
			line = encode(shown)
		}
		if _, err := w.Write(line); err != nil || flush() != nil {
			return nil
		}
	}
	return nil
}

func (h *handler) streamInstances(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := inTime(r)
	e, err := h.get(ctx, r.PathValue("name"))
	cancel()
	if err != nil {
		return err
	}
	return h.follow(w, r, func(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error] {
		return h.Boards.Instances(ctx, e.Name, heartbeat)
	})
}

func (h *handler) streamOverview(w http.ResponseWriter, r *http.Request) error {
	return h.follow(w, r, h.Boards.Overview)
}

// follow sends what a board shows until the client leaves or the service stops. It may take long until there is something
// new, so that the headers go first.
func (h *handler) follow(w http.ResponseWriter, r *http.Request, read func(context.Context, time.Duration) iter.Seq2[[]byte, error]) error {
	heartbeat, err := heartbeat(r)
	if err != nil {
		return err
	}
	ctx, cancel := httpserver.Streaming(r)
	defer cancel()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil || r.Method == http.MethodHead {
		return nil
	}
	for lines, err := range read(ctx, heartbeat) {
		if err != nil {
			text := unexpected
			if errors.Is(err, environment.ErrNotFound) {
				text = err.Error()
			} else {
				h.Log.WithError(err).WithField("path", r.URL.Path).Warn("stream ended")
			}
			lines = encode(streamMessage{Error: text}) // the last one
		}
		if httpserver.Send(w, lines) != nil || err != nil {
			return nil
		}
	}
	return nil
}

// streamMessage is a line that shows no environment: one that is gone, a sign of life, or the end.
type streamMessage struct {
	Metadata *models.Metadata `json:"metadata,omitempty"`
	Name     string           `json:"name,omitempty"`
	Error    string           `json:"error,omitempty"`
}

func metadata(c environment.Change) *models.Metadata {
	version := strconv.FormatInt(c.Version, 10)
	return &models.Metadata{EntityVersion: &version, Deleted: c.Deleted}
}

func encode(v any) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil { // a mistake in the program
		panic(err)
	}
	return line.Bytes()
}

// heartbeat reads the parameter of that name; 0 when it is not given.
func heartbeat(r *http.Request) (time.Duration, error) {
	given := r.URL.Query().Get("heartbeat")
	if given == "" {
		return 0, nil
	}
	seconds, err := strconv.Atoi(given)
	if err != nil || seconds < 1 || seconds > 300 {
		return 0, errHeartbeat
	}
	return time.Duration(seconds) * time.Second, nil
}
