"""Sentences for the demo, written for it: invented people, and places that exist."""

EXAMPLES = {
    "en": "Maria Alvarez left Northwind Energy in Rotterdam last spring and now runs the Lisbon "
    "office of the World Health Organization.",
    "de": "Der Hamburger Reeder Jens Petersen verhandelt in Genf mit der Welthandelsorganisation "
    "und der Deutschen Bahn.",
    "es": "La ingeniera Lucía Romero presentó en Valparaíso el informe que le había encargado el "
    "Banco Mundial.",
    "fr": "À Lyon, Camille Perrin dirige depuis mardi le laboratoire que finance la Fondation de "
    "France.",
    "it": "Il sindaco di Torino, Paolo Ferrero, ha incontrato ieri a Bruxelles i vertici di Eni.",
    "pt": "A jornalista Inês Carvalho viajou de Coimbra para Luanda a convite da Cruz Vermelha.",
    "nl": "Wetenschapper Sanne de Wit van de Universiteit Utrecht sprak in Antwerpen over de Maas.",
    "sv": "Styrelsen för Vattenfall träffade Erik Lundqvist i Göteborg innan han flög till Oslo.",
    "pl": "Anna Kowalska z Uniwersytetu Warszawskiego wygłosiła wykład w Krakowie.",
    "ru": "Ольга Соколова из Новосибирска возглавила российское отделение Красного Креста.",
    "uk": "Письменниця Оксана Коваленко зі Львова виступила в Києві на запрошення ЮНЕСКО.",
    "tr": "Mimar Deniz Aydın, İzmir'deki projesini Dünya Bankası yetkililerine anlattı.",
    "ar": "زارت المهندسة ليلى حداد مقر الأمم المتحدة في جنيف قبل عودتها إلى عمّان.",
    "he": "הסופרת נועה ברק מחיפה הרצתה באוניברסיטת תל אביב.",
    "hi": "डॉक्टर अनिल शर्मा ने दिल्ली में विश्व स्वास्थ्य संगठन की बैठक में भाग लिया।",
    "zh": "周三，李明辉在成都会见了世界银行的代表团。",
    "ja": "山田恵子さんは京都大学を卒業し、大阪の会社で働いている。",
    "ko": "김민수 교수는 부산에서 열린 유네스코 회의에 참석했다.",
    "th": "สมชาย ใจดี เดินทางจากเชียงใหม่ไปประชุมกับธนาคารโลกที่กรุงเทพ",
    "vi": "Bà Nguyễn Thị Lan đã rời Đà Nẵng để làm việc cho Liên Hợp Quốc tại Hà Nội.",
    "sw": "Daktari Amina Juma wa Chuo Kikuu cha Nairobi alisafiri kwenda Mombasa.",
}
