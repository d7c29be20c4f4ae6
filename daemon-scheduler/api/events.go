package api

import (
	"net/http"
	"strconv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const (
	defaultEvents = 100 // in a response if the request has no limit
	maxEvents     = 1000
)

func (h *handler) listEvents(w http.ResponseWriter, r *http.Request) error {
	limit := defaultEvents
	name := r.URL.Query().Get("environment")
	if given := r.URL.Query().Get("limit"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > maxEvents {
			return errLimit
		}
		limit = n
	}
	if name != "" && !environment.IsName(name) {
		return errEnvironment
	}
	found, err := h.Events.Query(name, limit)
	if err != nil {
		return err
	}
	list := models.Events{Items: []*models.Event{}}
	for _, event := range found {
		list.Items = append(list.Items, showEvent(event))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}
