package workload

import (
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func ingresses(r *rules) registry.Resource {
	return kind[networkingv1.Ingress, networkingv1.IngressList](r, registry.Resource{
		GroupVersion: networkingv1.SchemeGroupVersion, Kind: "Ingress", Name: "ingresses", SingularName: "ingress",
		ShortNames: []string{"ing"}, Namespaced: true, Status: true, Strategy: counted(),
		Table: declare.Table(ingressCells, nameThen(declare.Column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
			declare.Column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
			declare.Column("Address", "Address is a list containing ingress points for the load-balancer"),
			declare.Column("Ports", "Ports of TLS configurations that open"), declare.AgeColumn())...),
	}, declare.Rules[*networkingv1.Ingress]{Validate: func(i *networkingv1.Ingress) field.ErrorList {
		if len(i.Spec.Rules) == 0 && i.Spec.DefaultBackend == nil {
			return field.ErrorList{field.Invalid(field.NewPath("spec"), i.Spec.Rules, "either `defaultBackend` or `rules` must be specified")}
		}
		return nil
	}})
}

func ingressCells(i *networkingv1.Ingress) []any {
	class := declare.NoneCell
	if i.Spec.IngressClassName != nil {
		class = *i.Spec.IngressClassName
	} else if annotated := i.Annotations["kubernetes.io/ingress.class"]; annotated != "" {
		class = annotated
	}
	var hosts, addresses []string
	for _, rule := range i.Spec.Rules {
		if rule.Host != "" && len(hosts) < 4 {
			hosts = append(hosts, rule.Host)
		}
	}
	shown := "*"
	switch {
	case len(hosts) > 3:
		shown = strings.Join(hosts[:3], ",") + " + more..."
	case len(hosts) > 0:
		shown = strings.Join(hosts, ",")
	}
	for _, at := range i.Status.LoadBalancer.Ingress {
		if at.IP != "" {
			addresses = append(addresses, at.IP)
		} else {
			addresses = append(addresses, at.Hostname)
		}
	}
	ports := "80"
	if len(i.Spec.TLS) > 0 {
		ports = "80, 443"
	}
	return []any{i.Name, class, shown, strings.Join(sets.List(sets.New(addresses...)), ","), ports, declare.Age(&i.ObjectMeta)}
}

func ingressClasses(r *rules) registry.Resource {
	doc := networkingv1.IngressClassSpec{}.SwaggerDoc()
	return kind[networkingv1.IngressClass, networkingv1.IngressClassList](r, registry.Resource{
		GroupVersion: networkingv1.SchemeGroupVersion, Kind: "IngressClass", Name: "ingressclasses", SingularName: "ingressclass", Strategy: counted(),
		Table: declare.Table(func(c *networkingv1.IngressClass) []any {
			parameters := declare.NoneCell
			if p := c.Spec.Parameters; p != nil {
				parameters = p.Kind
				if group := valueOf(p.APIGroup); group != "" {
					parameters += "." + group
				}
				parameters += "/" + p.Name
			}
			return []any{c.Name, c.Spec.Controller, parameters, declare.Age(&c.ObjectMeta)}
		}, nameThen(declare.Column("Controller", doc["controller"]), declare.Column("Parameters", doc["parameters"]), declare.AgeColumn())...),
	}, declare.Rules[*networkingv1.IngressClass]{
		Validate: func(c *networkingv1.IngressClass) field.ErrorList {
			if c.Spec.Controller == "" {
				return field.ErrorList{field.Required(field.NewPath("spec", "controller"), "")}
			}
			return nil
		},
		ValidateUpdate: func(c, old *networkingv1.IngressClass) field.ErrorList {
			return apivalidation.ValidateImmutableField(c.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller"))
		},
	})
}

func networkPolicies(r *rules) registry.Resource {
	return kind[networkingv1.NetworkPolicy, networkingv1.NetworkPolicyList](r, registry.Resource{
		GroupVersion: networkingv1.SchemeGroupVersion, Kind: "NetworkPolicy", Name: "networkpolicies", SingularName: "networkpolicy",
		ShortNames: []string{"netpol"}, Namespaced: true, Strategy: counted(),
		Table: declare.Table(func(p *networkingv1.NetworkPolicy) []any {
			return []any{p.Name, selectorCell(&p.Spec.PodSelector), declare.Age(&p.ObjectMeta)}
		}, nameThen(declare.Column("Pod-Selector", networkingv1.NetworkPolicySpec{}.SwaggerDoc()["podSelector"]), declare.AgeColumn())...),
	}, declare.Rules[*networkingv1.NetworkPolicy]{})
}

func serviceCIDRs(r *rules) registry.Resource {
	doc := networkingv1.ServiceCIDRSpec{}.SwaggerDoc()
	return kind[networkingv1.ServiceCIDR, networkingv1.ServiceCIDRList](r, registry.Resource{
		GroupVersion: networkingv1.SchemeGroupVersion, Kind: "ServiceCIDR", Name: "servicecidrs", SingularName: "servicecidr", Status: true,
		Table: declare.Table(func(c *networkingv1.ServiceCIDR) []any {
			return []any{c.Name, strings.Join(c.Spec.CIDRs, ","), declare.Age(&c.ObjectMeta)}
		}, nameThen(declare.Column("CIDRs", doc["cidrs"]), declare.AgeColumn())...),
	}, declare.Rules[*networkingv1.ServiceCIDR]{
		Validate: func(c *networkingv1.ServiceCIDR) field.ErrorList {
			cidrs := field.NewPath("spec", "cidrs")
			switch n := len(c.Spec.CIDRs); {
			case n == 0:
				return field.ErrorList{field.Required(cidrs, "at least one CIDR required")}
			case n > 2:
				return field.ErrorList{field.Invalid(cidrs, c.Spec.CIDRs, "may only hold up to 2 values")}
			}
			var errs field.ErrorList
			for i, cidr := range c.Spec.CIDRs {
				errs = append(errs, checkCIDR(cidr, cidrs.Index(i))...)
			}
			return errs
		},
		ValidateUpdate: func(c, old *networkingv1.ServiceCIDR) field.ErrorList {
			return apivalidation.ValidateImmutableField(c.Spec.CIDRs, old.Spec.CIDRs, field.NewPath("spec", "cidrs"))
		},
	})
}

func ipAddresses(r *rules) registry.Resource {
	doc := networkingv1.IPAddressSpec{}.SwaggerDoc()
	return kind[networkingv1.IPAddress, networkingv1.IPAddressList](r, registry.Resource{
		GroupVersion: networkingv1.SchemeGroupVersion, Kind: "IPAddress", Name: "ipaddresses", SingularName: "ipaddress", ShortNames: []string{"ip"},
		Strategy: registry.Strategy{ValidateName: func(name string, _ bool) []string {
			if ip, err := netip.ParseAddr(name); err != nil || ip.String() != name {
				return []string{"must be an IP address in its canonical form"}
			}
			return nil
		}},
		Table: declare.Table(func(ip *networkingv1.IPAddress) []any {
			parent := declare.NoneCell
			if p := ip.Spec.ParentRef; p != nil {
				parent = p.Resource + "/" + p.Name
				if p.Namespace != "" {
					parent = p.Resource + "/" + p.Namespace + "/" + p.Name
				}
			}
			return []any{ip.Name, parent}
		}, nameThen(declare.Column("ParentRef", doc["parentRef"]))...),
	}, declare.Rules[*networkingv1.IPAddress]{
		Validate: func(ip *networkingv1.IPAddress) field.ErrorList {
			if ip.Spec.ParentRef == nil {
				return field.ErrorList{field.Required(field.NewPath("spec", "parentRef"), "")}
			}
			return nil
		},
		ValidateUpdate: func(ip, old *networkingv1.IPAddress) field.ErrorList {
			return apivalidation.ValidateImmutableField(ip.Spec.ParentRef, old.Spec.ParentRef, field.NewPath("spec", "parentRef"))
		},
	})
}
