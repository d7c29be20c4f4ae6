package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const (
	someEvents = 100 // of a list that names no limit
	mostEvents = 1000
)

func (h *handler) listEvents(w http.ResponseWriter, r *http.Request) error {
	limit, name := someEvents, r.URL.Query().Get("environment")
	if given := r.URL.Query().Get("limit"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > mostEvents {
			return errLimit
		}
		limit = n
	}
	if name != "" && !environment.IsName(name) {
		return errEnvironment
	}
	all, err := h.Store.Events()
	if err != nil {
		return err
	}
	list := models.Events{Items: []*models.Event{}}
	for _, d := range slices.Backward(all) {
		if len(list.Items) == limit {
			break
		}
		if name == "" || d.Environment == name {
			list.Items = append(list.Items, showEvent(d))
		}
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}
