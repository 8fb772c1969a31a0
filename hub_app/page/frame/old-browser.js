// For browsers without modules: says that the values do not change. Written for any browser.
document.addEventListener("DOMContentLoaded", function () {
  var notice = document.createElement("p");
  notice.className = "notice";
  notice.appendChild(document.createTextNode("This browser is too old for live values. They stay as they were when this page was loaded: load it again."));
  document.body.insertBefore(notice, document.querySelector("main"));
  document.querySelector("#connection .text").innerHTML = "not live";
});
