package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the report for a person.
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	r.printServer(w)
	r.printUnits(w)
	r.printAPIServices(w)
	r.printEndpoints(w)
	r.printStore(w)
	r.printCertificates(w)
	return w.Flush()
}

func (r *report) printServer(w io.Writer) {
	ready := "ready"
	if !r.Server.Ready {
		ready = "NOT READY: " + strings.Join(r.Server.FailingChecks, ", ")
	}
	fmt.Fprintf(w, "%s, %s, up %s, %s\n", r.Server.URL, r.Server.Version, time.Duration(r.Server.UptimeSeconds)*time.Second, ready)
	q := &r.Requests
	fmt.Fprintf(w, "%s requests a second, %s of %d failed, 99%% within %s, %d in flight, %d watches and streams\n\n",
		rate(q.PerSecond), share(q.Failed, q.Total), q.Total, seconds(q.P99Seconds), q.InFlight, q.LongRunning)
}

func (r *report) printUnits(w io.Writer) {
	fmt.Fprintln(w, "UNIT\tGROUPS\tHOOKS\tCHECKS\tREQUESTS/S\tTOTAL\tFAILED")
	for _, u := range r.Units {
		done := 0
		for _, h := range u.Hooks {
			if h.Done {
				done++
			}
		}
		groups := fmt.Sprint(len(u.GroupVersions))
		if n := len(u.CustomGroupVersions); n > 0 {
			groups += fmt.Sprintf(" and %d custom", n)
		}
		fmt.Fprintf(w, "%s\t%s\t%d of %d\t%s\t%s\t%d\t%s\n", u.Name, groups, done, len(u.Hooks), strings.Join(u.Checks, ","), rate(u.Requests.PerSecond), u.Requests.Total,
			share(u.Requests.Failed, u.Requests.Total))
	}
	fmt.Fprintln(w)
}

func (r *report) printAPIServices(w io.Writer) {
	fmt.Fprintln(w, "APISERVICE\tSERVICE\tENDPOINTS\tAVAILABLE\tREQUESTS/S\tTOTAL\tFAILED\t99% WITHIN")
	for _, a := range r.APIServices {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", a.Name, a.where(), a.replicas(), a.state(), rate(a.Requests.PerSecond), a.Requests.Total,
			share(a.Requests.Failed, a.Requests.Total), a.within())
	}
	fmt.Fprintln(w)
}

func (r *report) printStore(w io.Writer) {
	s := &r.Store
	fmt.Fprintf(w, "STORE\tOBJECTS\tREQUESTS/S\tTOTAL\tFAILED\tWRITES 99%% WITHIN\tREADS WAIT 99%% AT MOST\n%s\t%d\t%s\t%d\t%s\t%s\t%s\n\n",
		size(s.SizeBytes), s.Objects, rate(s.PerSecond), s.Total, share(s.Failed, s.Total), seconds(s.WriteP99), seconds(s.ReadAtOnce))
}

func (r *report) printCertificates(w io.Writer) {
	fmt.Fprintln(w, "CERTIFICATE\tEXPIRES\tIN")
	for _, c := range r.Certificates {
		left := time.Until(c.Expires)
		in := fmt.Sprintf("%d days", int(left.Hours()/24))
		if left < 0 {
			in = "EXPIRED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.Expires.Format(time.DateOnly), in)
	}
}

func rate(perSecond float64) string { return fmt.Sprintf("%.1f", perSecond) }

func share(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond).String()
}

func size(bytes int64) string {
	const mib = 1 << 20
	if bytes == 0 {
		return "-" // not measured yet
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
}
