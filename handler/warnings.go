package handler

import "context"

// warnings collects the Warning headers of one request.
type warnings struct {
	texts []string
}

// AddWarning adds a text that the client is shown in a "Warning: 299" header, if the answer's
// headers have not been written yet. It does nothing outside a request.
func AddWarning(ctx context.Context, text string) {}
