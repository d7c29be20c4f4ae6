package api

import (
	"net/http"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) listEvents(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitParameter(r)
	if err != nil {
		return err
	}
	name, err := environmentParameter(r)
	if err != nil {
		return err
	}
	events, err := h.Events.Query(name, limit)
	if err != nil {
		return err
	}
	list := models.Events{Items: []*models.Event{}}
	for _, event := range events {
		list.Items = append(list.Items, showEvent(event))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}
