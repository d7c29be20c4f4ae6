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
	someDecisions = 100 // of a list that names no limit
	mostDecisions = 1000
)

func (h *handler) listDecisions(w http.ResponseWriter, r *http.Request) error {
	limit, name := someDecisions, r.URL.Query().Get("environment")
	if given := r.URL.Query().Get("limit"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > mostDecisions {
			return errLimit
		}
		limit = n
	}
	if name != "" && !environment.IsName(name) {
		return errEnvironment
	}
	all, err := h.Store.Decisions()
	if err != nil {
		return err
	}
	list := models.Decisions{Items: []*models.Decision{}}
	for _, d := range slices.Backward(all) {
		if len(list.Items) == limit {
			break
		}
		if name == "" || d.Environment == name {
			list.Items = append(list.Items, showDecision(d))
		}
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}
