package delegation

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/emicklei/go-restful/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler"
)

// installBasicPaths adds what every unit has, whatever it is for.
func (s *GenericAPIServer) installBasicPaths() error {
	s.Handler.NonGoRestfulMux.Update(func(p *handler.Paths) {
		index := handler.Index(s, http.StatusOK)
		p.UnlistedHandle("/", index)
		p.UnlistedHandle("/index.html", index)
		p.Handle("/metrics", s.metricsHandler())
		p.Handle("/metrics/slis", s.config.Metrics.SLIHandler())
		p.Handle("/statusz", s.statuszPage())
		p.UnlistedHandle(ChainPath, http.HandlerFunc(s.serveChain))
		p.UnlistedHandle(TracePath, http.HandlerFunc(s.serveTrace))
		if s.config.Flags != nil {
			p.Handle("/flagz", flagzPage(s.config.Flags))
		}
		if s.config.EnableProfiling {
			installProfiling(p)
		}
	})
	if s.config.EnableDiscovery {
		if err := s.Handler.Add(s.groups.webService(s.config.Discovery)); err != nil {
			return err
		}
	}
	return s.Handler.Add(s.versionWebService())
}

// metricsHandler lets those who may look into the process have its counters begin at zero.
func (s *GenericAPIServer) metricsHandler() http.Handler {
	if s.config.EnableProfiling {
		return s.config.Metrics.ResettableHandler()
	}
	return s.config.Metrics.Handler()
}

// versionWebService answers /version.
func (s *GenericAPIServer) versionWebService() *restful.WebService {
	ws := new(restful.WebService).Path("/version").Doc("the version of the server")
	// Indented, as people read it with curl.
	body, err := json.MarshalIndent(s.config.Version, "", "  ")
	ws.Route(ws.GET("/").To(func(req *restful.Request, resp *restful.Response) {
		if err != nil {
			handler.WriteError(resp.ResponseWriter, req.Request, fmt.Errorf("encoding the version: %w", err))
			return
		}
		resp.ResponseWriter.Header().Set("Content-Type", "application/json")
		resp.ResponseWriter.Write(body)
	}).Produces(restful.MIME_JSON).Operation("getCodeVersion"))
	return ws
}

// installProfiling adds the profiles of the process and the switch of its log level.
func installProfiling(p *handler.Paths) {
	p.UnlistedHandle("/debug/pprof", http.RedirectHandler("/debug/pprof/", http.StatusFound))
	p.UnlistedHandlePrefix("/debug/pprof/", http.HandlerFunc(pprof.Index))
	p.UnlistedHandle("/debug/pprof/cmdline", http.HandlerFunc(pprof.Cmdline))
	p.UnlistedHandle("/debug/pprof/profile", http.HandlerFunc(pprof.Profile))
	p.UnlistedHandle("/debug/pprof/symbol", http.HandlerFunc(pprof.Symbol))
	p.UnlistedHandle("/debug/pprof/trace", http.HandlerFunc(pprof.Trace))
	p.UnlistedHandle("/debug/flags/v", http.HandlerFunc(serveVerbosity))
}

// serveVerbosity sets the log level of the process while it runs.
func serveVerbosity(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		http.Error(w, "only PUT is supported here", http.StatusNotAcceptable)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 16))
	if err != nil {
		handler.WriteError(w, r, apierrors.NewBadRequest("reading the log level: the body is incomplete"))
		return
	}
	text := strings.TrimSpace(string(body))
	var level klog.Level
	if err := level.Set(text); err != nil {
		handler.WriteError(w, r, apierrors.NewBadRequest(fmt.Sprintf("the log level %q is not a number", text)))
		return
	}
	writePlain(w, []byte("successfully set klog.logging.verbosity to "+text))
}
